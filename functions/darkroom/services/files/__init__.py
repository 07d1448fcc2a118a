"""Files of clients: uploads, and those that an input names or holds."""
