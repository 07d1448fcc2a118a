"""What a process needs before its first event: declarations, settings, logging, adapters, and the
parts that several functions are built of."""
