"""The gateway: agent loop, tools and web page."""
