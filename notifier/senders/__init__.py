"""The senders, one class for each gateway: a send succeeds, fails, or may have been sent."""
