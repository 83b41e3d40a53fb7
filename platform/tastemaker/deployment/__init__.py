"""From what is live to objects of a cluster and processes of a laptop: render, validate, check."""
