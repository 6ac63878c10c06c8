"""Inspects a source: its first documents, their fields, and the candidates for merchant, amount and time."""
