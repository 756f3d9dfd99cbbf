"""What people look at: read only, paged in the database, and without personal data for who may not see it."""
