"""What a retailer does: orders first. Pure decisions over states and events; I/O stays with the hub."""
