"""Callbacks to clients: sending them, their history, what is known of their receivers."""
