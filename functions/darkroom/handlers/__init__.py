"""One module per Lambda function, which declares everything about it: its settings, its routes or
other triggers, how it is built, how it handles an event, its size, and its rights."""
