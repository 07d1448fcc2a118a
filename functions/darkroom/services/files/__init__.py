"""Files of clients: uploads, and files that an input names or contains."""
