"""What the Dockerfile runs, as scripts that also run without Docker."""
