"""What the Odoo tests share: the makers of orders that the conformance suite uses too."""
