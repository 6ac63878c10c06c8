"""The parts of a run: ledger row, heartbeat, rejects, quarantine, fingerprint, signals, and requested days."""
