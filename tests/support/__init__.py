"""Shared by tests of several kinds and the bench: a world of fakes, its events, and oracles."""
