"""Everything specific to Replicate: its API, its terms, its bodies. The client implements a
port."""
