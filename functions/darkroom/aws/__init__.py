"""The ports, implemented with AWS."""
