"""Who may do what, who has signed in, and the audit of what they did: all SQL on these."""
