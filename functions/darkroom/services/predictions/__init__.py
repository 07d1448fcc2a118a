"""A prediction from its request to its files: created, followed, stored, shown, swept."""
