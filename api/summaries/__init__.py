"""Summaries and merchants: their resources, and the cache of the current publication that these answer from."""
