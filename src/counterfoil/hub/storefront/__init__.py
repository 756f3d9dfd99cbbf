"""What storefronts and their customers ask for and leave behind, as it is kept."""
