"""Health checks of the containers: exit 0 when healthy, else 1 with a sentence. No package is imported: quick to start.

::

    python docker/healthy.py http://127.0.0.1:8000/healthz                  the path is answered with 200
    python docker/healthy.py http://127.0.0.1:8000/readyz not-built-yet     or with a problem of that type
    python docker/healthy.py /tmp/pulse 30                                  the file was touched within 30 seconds
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

_TIMEOUT_S = 4
_LONGEST_BODY = 65_536


def trouble_of_url(url: str, *accepted: str) -> str:
    """Why `url` is not healthy, or an empty string. Proxies of the environment are not used.

    :param accepted: the last parts of the types of problems (RFC 9457) with which it is healthy too.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        status, body = answer.status, answer.read(_LONGEST_BODY)
    except (OSError, http.client.HTTPException) as error:
        return f"{url} does not answer: {error}"
    finally:
        connection.close()
    return "" if status == http.client.OK or _problem(body) in accepted else f"{url} answers {status}"


def _problem(body: bytes) -> str | None:
    """The last part of the type of the problem that a body describes."""
    try:
        return str(json.loads(body)["type"]).rpartition("/")[2]
    except (ValueError, TypeError, KeyError):
        return None


def heartbeat_error(file: Path, most_s: float) -> str:
    """Why the program that touches `file` is not healthy, or an empty string."""
    try:
        age_s = time.time() - file.stat().st_mtime
    except OSError as error:
        return f"{file} was not touched yet: {error.strerror}"
    return "" if age_s <= most_s else f"{file} was touched {age_s:.0f} s ago"


def main(arguments: list[str]) -> str:
    """What is wrong, or an empty string."""
    if "://" in arguments[0]:
        return trouble_of_url(*arguments)
    file, most_s = arguments
    return heartbeat_error(Path(file), float(most_s))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) or 0)
