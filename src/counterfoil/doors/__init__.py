"""How people and programs come in: webhooks, the command line."""
