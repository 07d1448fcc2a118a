"""The guarded HTTP client, and the code that calls hosts outside AWS with it."""
