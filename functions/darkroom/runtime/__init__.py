"""What a process needs before its first event: settings, logging, and the composition root."""
