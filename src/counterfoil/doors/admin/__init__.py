"""The admin API, /admin/v1: what people may see and do, each with the right it asks for."""
