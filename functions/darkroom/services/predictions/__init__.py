"""A prediction from its request to its files: created, observed, stored, shown, swept."""
