"""Metrics, health and status of the service."""
