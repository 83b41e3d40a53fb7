"""Nearest-neighbour index: build and search."""
