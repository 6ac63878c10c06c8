"""The whole service in one terminal, without Docker: the API, a worker, beat and their Redis; ``make run``."""
