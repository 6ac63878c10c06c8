"""gunicorn and uvicorn: the worker, its time-outs and limits, the address, the log of the server."""
