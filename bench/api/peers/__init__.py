"""What our API is measured beside: each a WSGI application that gunicorn serves as it serves ours.

Their entry points read ``BENCH_DATABASE``, the path of the SQLite file.
"""
