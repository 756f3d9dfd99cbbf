"""Stand-ins for vendor systems, for demo and tests: the real protocols, with state, quirks and faults on demand."""
