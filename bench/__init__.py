"""The harness that compares this program with its peers: ``python -m bench``, or ``make bench``."""
