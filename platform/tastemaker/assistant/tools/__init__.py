"""What the router can call: native tools, and those added at run time over MCP."""
