"""The guarded HTTP client, and what calls hosts of others by it."""
