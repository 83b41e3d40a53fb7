"""One file per runnable job; each wires the parts below."""
