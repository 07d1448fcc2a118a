"""One use case per module, over the domain and the ports only."""
