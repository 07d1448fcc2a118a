"""The models that may be run, and how long they take."""
