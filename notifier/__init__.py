"""The Celery side of notifications: it delivers stored messages once each, and records the outcome."""
