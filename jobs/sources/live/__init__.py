"""Collections of a MongoDB server as sources, read while they are being written to."""
