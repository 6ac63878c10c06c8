"""What a notification is, and how the delivery over each of its channels stands: shared by the API and the notifier."""
