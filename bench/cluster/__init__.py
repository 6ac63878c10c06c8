"""Compares counting the same documents on a cluster and in this process."""
