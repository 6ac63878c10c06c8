"""What a request passes before and after its resource: the log, CORS, rate limits, the fast path, errors."""
