"""The Celery side of notifications: it delivers what was kept, each message once, and tells how that went."""
