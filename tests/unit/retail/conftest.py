"""What the retail tests share: the makers of orders that the conformance suite uses too."""
