"""Callbacks to clients: sending them, their history, and the state of their endpoints."""
