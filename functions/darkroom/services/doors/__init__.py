"""Optional entry points: requests by event, waiting for a result, and watch URLs."""
