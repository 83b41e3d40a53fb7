"""Model bundles and environments."""
