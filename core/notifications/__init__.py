"""Notifications and their delivery logs, and the queue: shared by the API and the notifier."""
