"""Tastemaker: visual discovery on models you own."""

__version__ = "0.1.0"
