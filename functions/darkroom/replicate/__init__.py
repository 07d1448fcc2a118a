"""All that is Replicate's: its API, its words, its bodies. The client implements a port."""
