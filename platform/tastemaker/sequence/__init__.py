"""The user-sequence model: a user embedding and next-item candidates."""
