"""``python -m jobs.partitions.cluster_node N``: a local Dask cluster of N processes, until the end of standard input.

It prints a line of JSON: the address of its scheduler, and the TLS key that a client needs, so that other users of this
host cannot connect. It runs in its own session: Ctrl-C in the terminal reaches only the command, which then ends this
process.
"""

from __future__ import annotations

import json
import logging
import sys


def main(workers: int) -> None:
    """Serve until the end of standard input."""
    import dask
    from distributed import LocalCluster
    from distributed.security import Security

    settings = {
        "scheduler.worker-ttl": "60s",  # a worker that hangs is removed, and other workers count its partitions
        # No dashboard shows the samples of the profiler and monitors. The profiler can also hang a worker before
        # Python 3.11.9: https://github.com/python/cpython/issues/106883
        "worker.profile.enabled": False,
        "admin.system-monitor.interval": "10s",
        "admin.tick.interval": "1s",
        "admin.tick.limit": "60s",
        # Dask's value returns freed memory to the system at once, and the next batch of documents would get it again.
        "nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    }
    dask.config.set({f"distributed.{name}": value for name, value in settings.items()})
    security = Security.temporary()  # type: ignore[no-untyped-call]
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=workers,
        threads_per_worker=1,
        host="127.0.0.1",
        security=security,
        dashboard_address=None,
        silence_logs=logging.CRITICAL,
    ) as cluster:
        tls = security.get_tls_config_for_role("client")
        print(json.dumps({"address": cluster.scheduler_address, "tls": tls}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
