"""The crash-schedule proof: the product's own handlers, with a fault at every I/O."""
