"""Shared by the jobs, the API and the notifier: calendar, settings, errors and stores."""

__version__ = "0.1.0"
