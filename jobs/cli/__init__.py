"""A module per verb of the command line: parses options, runs a job, prints text or JSON."""
