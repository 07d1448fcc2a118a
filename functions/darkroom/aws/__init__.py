"""The ports over AWS."""
