"""What tests of several kinds share: oracles that have no code in common with the product."""
