"""The users' command `darkroom`, over a service in memory."""
