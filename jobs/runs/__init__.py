"""A run: its row in the ledger, its heartbeat, rejects and quarantine, fingerprint, signals, and its days."""
