"""The HTTP surface: one module a resource; parse, call, format."""
