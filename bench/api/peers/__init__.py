"""The peers of our API: applications that gunicorn serves as it serves ours.

Their entry points read ``BENCH_DATABASE``, the path of the SQLite file.
"""
