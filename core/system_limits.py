"""Explains failures caused by limits of the system: disk space, memory, file descriptors, read-only file systems."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_SMALLEST_FREE: Final = 65_536
"""Bytes. SQLite grows its ``-shm`` file by 32 KiB."""


class Limit(NamedTuple):
    """The reason of a failure, to follow a colon, and a hint."""

    reason: str
    hint: str


DISK_FULL: Final = Limit("the disk is full", "Free some space; the previous publication is still current.")
READ_ONLY: Final = Limit("its file system is read-only", "Mount it read-write, or use a folder on another file system.")
FEW_DESCRIPTORS: Final = Limit(
    "this process may not open more files", "Raise the limit: ulimit -n, LimitNOFILE of systemd, or ulimits of compose."
)
LITTLE_MEMORY: Final = Limit(
    "there is too little memory", "Raise the limit (ulimit -v, or that of the container), or lower --threads."
)
NO_DIRECTORY: Final = Limit("the current directory was removed", "Change to a directory that exists, and try again.")

_PR_SET_PDEATHSIG: Final = 1
"""Of ``<linux/prctl.h>``."""

_PASSED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_BY_NUMBER: Final = {
    errno.ENOSPC: DISK_FULL,
    errno.EDQUOT: DISK_FULL,
    errno.EROFS: READ_ONLY,
    errno.EMFILE: FEW_DESCRIPTORS,
    errno.ENFILE: FEW_DESCRIPTORS,
    errno.ENOMEM: LITTLE_MEMORY,
}
_BY_TEXT: Final = {
    "can't start new thread": LITTLE_MEMORY,
    "failed to map segment": LITTLE_MEMORY,
    "annot allocate memory": LITTLE_MEMORY,
    "Too many open files": FEW_DESCRIPTORS,
}
"""Message texts of libraries that do not provide the errno."""


def limit_of(error: BaseException) -> Limit | None:
    """The limit that caused `error`, or None."""
    if isinstance(error, MemoryError):
        return LITTLE_MEMORY
    if isinstance(error, OSError) and error.errno in _BY_NUMBER:
        return _BY_NUMBER[error.errno]
    if isinstance(error, FileNotFoundError) and _is_directory_gone():
        return NO_DIRECTORY
    if (known := next((limit for text, limit in _BY_TEXT.items() if text in str(error)), None)) is not None:
        return known
    # Libraries report in various ways that a shared object could not be loaded, or an object made, for lack of memory;
    # Polars goes on without its own, whose names are then missing.
    failed = isinstance(error, ImportError | NameError | SystemError) or (
        isinstance(error, OSError) and error.errno is None
    )
    return LITTLE_MEMORY if failed and is_memory_limited() else None


def limit_at(folder: Path) -> Limit | None:
    """The limit that prevents this process from writing to `folder` now, or None."""
    try:
        os.close(os.open(folder, os.O_RDONLY))
        found = os.statvfs(folder)
    except OSError as error:
        return _BY_NUMBER.get(error.errno or 0)
    if found.f_flag & os.ST_RDONLY:
        return READ_ONLY
    blocks, files = (found.f_bfree, found.f_ffree) if os.geteuid() == 0 else (found.f_bavail, found.f_favail)
    return DISK_FULL if blocks * found.f_frsize < _SMALLEST_FREE or (found.f_files and not files) else None


def _is_directory_gone() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - not for the path
    except FileNotFoundError:
        return True
    return False


def is_memory_limited() -> bool:
    """Whether the memory of this process is limited, as by ``ulimit -v`` or ``ulimit -d``."""
    limits = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    return any(resource.getrlimit(one)[0] != resource.RLIM_INFINITY for one in limits)


def within_memory(main: Callable[[], None], when_ended: Callable[[Limit], None]) -> None:
    """Call `main`, in a child process if memory is limited.

    Native code (Polars, OpenBLAS, LLVM) aborts its process (``SIGABRT``) without memory, which only another process can
    report. Signals are forwarded to the child, and on Linux it is killed with this process.

    :param when_ended: called in this process if the child ran out of memory.
    :raises SystemExit: the child has ended, with its exit code.
    """
    if not is_memory_limited():
        main()
        return
    passed_on = [number for number in _PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN]
    parent = os.getpid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Signals stay blocked here and are fetched: a handler would not run while `waitpid`, just entered, waits.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [*passed_on, signal.SIGCHLD])
    child = os.fork()
    if not child:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _die_with(parent)
        try:
            main()
        except MemoryError:
            os.abort()  # there was too little to report an error: the parent, which has loaded less, does it
        return
    ended, status = 0, 0
    while not ended:
        number = signal.sigwait([*passed_on, signal.SIGCHLD])
        ended, status = os.waitpid(child, os.WNOHANG)
        if not ended and number != signal.SIGCHLD:
            os.kill(child, number)
    code = os.waitstatus_to_exitcode(status)
    if code in (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGTRAP, -signal.SIGILL):
        when_ended(LITTLE_MEMORY)
    sys.exit(code if code >= 0 else 128 - code)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent `parent` ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has already ended
            os.kill(os.getpid(), signal.SIGKILL)
