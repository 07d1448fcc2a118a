"""Who calls, what a tenant may still do, and what it has used."""
