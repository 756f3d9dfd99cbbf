"""What a shop's front end asks instead of the ERP: an HTTP API under /storefront/v1, one module per concept."""
