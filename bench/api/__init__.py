"""The part of the bench that measures the API over HTTP: ``python -m bench api``."""
