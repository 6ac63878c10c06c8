"""``warm_program.py FD PROGRAM ARGUMENT…``: ``python -m PROGRAM`` by the warm server of `command_line`.

FD leads to the server. It takes this process's folder, variables and standard streams, and ends as the command did.
"""

from __future__ import annotations

import json
import os
import socket
import sys


def main(descriptor: int, program: str, arguments: list[str]) -> int:
    """Hand the command over, and wait; its exit code."""
    read_end, write_end = os.pipe()
    here = {"folder": os.getcwd(), "env": dict(os.environ)}  # noqa: PTH109 - starts at once
    usual = {"signal_after": None, "signal": 9, "ignored": 0, "file_size_limit": None, "measured": True}
    request = {"program": program, "arguments": arguments} | here | usual
    with socket.socket(fileno=descriptor) as server:
        socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2, write_end])
    os.close(write_end)
    with open(read_end, encoding="ascii") as reports:  # noqa: PTH123 - it is no path
        _process_id, status = reports.read().split()
    return os.waitstatus_to_exitcode(int(status))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
