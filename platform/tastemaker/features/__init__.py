"""Features of users, sessions and items: Feast definitions, live updates, one read a turn."""
