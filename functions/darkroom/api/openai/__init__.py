"""OpenAI's Images API: its requests read, its answers and errors written."""
