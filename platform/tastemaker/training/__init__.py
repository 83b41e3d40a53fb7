"""One resumable training loop."""
