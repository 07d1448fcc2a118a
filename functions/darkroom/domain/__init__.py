"""Domain rules: the record, its state machine, links, signatures. Standard library only, no I/O."""
