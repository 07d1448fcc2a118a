"""The models that may be run, and their run times."""
