"""What the jobs, the API and the notifier share: calendar, settings, errors and stores."""

__version__ = "0.1.0"
