"""From the stores to encoded bodies: the published state as this process knows it, and what is kept of it."""
