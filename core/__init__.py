"""What the jobs, the API and the notifier share: calendar, settings, errors and stores."""
