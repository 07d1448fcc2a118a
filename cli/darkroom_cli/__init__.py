"""The command `darkroom` for users of a deployment. Imports nothing of the functions."""
