"""Attention, norms and schedules shared by the model families."""
