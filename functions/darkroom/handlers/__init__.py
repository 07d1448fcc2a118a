"""One module per Lambda function, which says everything of it: its settings, its routes or what
feeds it, how it is built, what it does with an event, its size, and the rights that it needs."""
