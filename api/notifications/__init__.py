"""Notifications, subscriptions and contacts: their resources, what clients send to these, and idempotency keys."""
