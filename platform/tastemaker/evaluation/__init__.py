"""Metrics, baselines, reports and tracking."""
