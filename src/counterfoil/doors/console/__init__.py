"""The console: pages for people at /console, on the hub's own port. Every act goes through `doors.admin`."""
