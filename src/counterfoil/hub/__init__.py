"""The durable core: receipts, objects, events, lanes, outcomes, exceptions, links."""
