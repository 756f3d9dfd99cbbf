"""One folder a kind of system. A connector knows `retail` and the connector contract, never the store."""
