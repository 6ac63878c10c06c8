"""One module a verb of the command line: options in, a job run, words or JSON out."""
