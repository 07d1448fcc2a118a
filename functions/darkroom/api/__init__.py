"""The HTTP surface: requests, Replicate's bodies, problem answers."""
