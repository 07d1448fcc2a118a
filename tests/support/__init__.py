"""What tests of several kinds and the bench share: a world of fakes, its events, and oracles."""
