"""Record schemas, tables, sources, curation, the demo catalogue and simulated users."""
