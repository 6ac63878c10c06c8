"""The harness that measures this program beside its peers: ``python -m bench``, or ``make bench``."""
