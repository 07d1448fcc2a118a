"""The commands, by subject. What one needs is imported when it runs, for a quick start."""
