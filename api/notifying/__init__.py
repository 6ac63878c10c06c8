"""Notifications, contacts and subscriptions as clients send and see them."""
