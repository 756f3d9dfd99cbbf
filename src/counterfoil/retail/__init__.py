"""The retail language: money, parties, products, orders and their events. Pure data, no I/O."""
