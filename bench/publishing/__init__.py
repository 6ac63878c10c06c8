"""The bench of publishing: replacing everything, and replacing a few days of a large store."""
