"""Publishing: replacing the published days, and protecting them from losing transactions."""
