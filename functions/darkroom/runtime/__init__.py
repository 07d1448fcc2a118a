"""Everything that a process needs before its first event: declarations, settings, logging,
adapters, and parts that several functions share."""
