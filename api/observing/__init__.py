"""Request ids, the request log and the metrics."""
