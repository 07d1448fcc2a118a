"""Optional ways in: requests by event, waiting, and URLs to watch one prediction."""
