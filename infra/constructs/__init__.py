"""Building blocks that carry Darkroom's defaults; the stacks wire them together."""
