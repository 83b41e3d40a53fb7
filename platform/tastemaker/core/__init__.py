"""Configuration, errors, storage locations, digests and progress; imports nothing of ours."""
