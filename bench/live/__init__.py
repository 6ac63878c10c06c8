"""Compares reading a live collection with other programs, on the same server and documents."""
