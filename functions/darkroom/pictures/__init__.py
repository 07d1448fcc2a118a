"""Reads pictures with Pillow, which few functions carry."""
