"""The bench of publishing: what it costs to replace everything, and to replace a few days of a large store."""
