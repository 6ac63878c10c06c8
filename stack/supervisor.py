"""Runs programs together: starts them in order, and stops them in reverse order when one ends.

On Linux they are also stopped when this process is killed (`stack.tied`).

Not honcho: it stops all at once, so the worker would lose the queue in the middle of its work, and kills what has not
ended after five seconds, such as a worker that is sending.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_LONGEST_LINE: Final = 16 * 1024 * 1024
_CHECK_EVERY_S: Final = 0.1
_TIED: Final = str(Path(__file__).with_name("tied.py"))


@dataclass(frozen=True, slots=True)
class Program:
    """One of the programs.

    :param command: the path of the program, and its arguments.
    :param environment: all its variables.
    :param is_ready: whether it is ready; called in a thread several times per second until it returns True.
    :param stdin: what it reads on standard input.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool] = lambda: True
    stdin: bytes = b""


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended unexpectedly; `code` is negative for a signal."""

    name: str
    code: int


@dataclass(slots=True)
class _Running:
    program: Program
    process: asyncio.subprocess.Process
    reading: asyncio.Task[None]
    ended: asyncio.Task[int]


@dataclass(slots=True)
class Supervisor:
    """Runs programs.

    :param show: receives each line of output, with the name of the program.
    :param grace_s: seconds that a program may take to stop, before it is killed.
    :param lock: the descriptor of a locked file, which the programs inherit: it is locked until all of them have ended.
    """

    show: Callable[[str, bytes], object]
    grace_s: float
    lock: int | None = None
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _running: list[_Running] = field(default_factory=list)

    def stop(self) -> None:
        """Stop all programs; if called again, kill them."""
        if self._asked.is_set():
            for one in self._running:
                _signal_all(one, signal.SIGKILL)
        self._asked.set()

    async def run(self, stages: Sequence[Sequence[Program]], when_ready: Callable[[], object]) -> Ended | None:
        """Start the programs of each stage when those of the one before are ready, and wait until one ends.

        :param when_ready: called when all are.
        :returns: the program that ended by itself, or None after `stop`. None of them runs any more.
        """
        try:
            for stage in stages:
                for program in stage:
                    self._running.append(await self._start(program))
                if not await self._while_all_run(_all_ready(stage)):
                    return self._culprit()
            when_ready()
            await self._while_all_run(asyncio.Event().wait())
            return self._culprit()
        finally:
            for one in reversed(self._running):
                await self._end(one)

    async def _start(self, program: Program) -> _Running:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-IS", _TIED, str(os.getpid())),
            *program.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=program.environment,
            start_new_session=True,  # Ctrl-C of the terminal reaches only us, who stop the programs in order
            pass_fds=() if self.lock is None else (self.lock,),
            limit=_LONGEST_LINE,
        )
        assert process.stdin is not None
        process.stdin.write(program.stdin)
        process.stdin.close()
        reading = asyncio.create_task(self._show_lines(program.name, process))
        return _Running(program, process, reading, asyncio.create_task(process.wait()))

    async def _show_lines(self, name: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        shown = True
        async for line in process.stdout:
            try:
                if shown:
                    self.show(name, line)
            except OSError:  # standard output was closed
                shown = False
                self._asked.set()

    async def _while_all_run(self, work: Coroutine[Any, Any, object]) -> bool:
        """Whether `work` was done before a program ended and before all were asked to stop."""
        doing = asyncio.create_task(work)
        asked = asyncio.create_task(self._asked.wait())
        try:
            await asyncio.wait(
                {doing, asked, *(one.ended for one in self._running)}, return_when=asyncio.FIRST_COMPLETED
            )
            return doing.done() and not asked.done() and self._culprit() is None
        finally:
            for task in (doing, asked):
                task.cancel()

    def _culprit(self) -> Ended | None:
        if self._asked.is_set():
            return None
        ended = [one for one in self._running if one.ended.done()]
        return Ended(ended[0].program.name, ended[0].ended.result()) if ended else None

    async def _end(self, one: _Running) -> None:
        """Stop a program and its child processes; returns when its last output was shown."""
        if not one.ended.done():
            with suppress(ProcessLookupError):
                one.process.terminate()
            await asyncio.wait({one.ended}, timeout=self.grace_s)
        _signal_all(one, signal.SIGKILL)
        await one.ended
        await asyncio.wait({one.reading}, timeout=1)


async def _all_ready(programs: Sequence[Program]) -> None:
    for program in programs:
        while not await asyncio.to_thread(program.is_ready):
            await asyncio.sleep(_CHECK_EVERY_S)


def _signal_all(one: _Running, number: signal.Signals) -> None:
    """Signal a program and its child processes."""
    with suppress(ProcessLookupError):
        os.killpg(one.process.pid, number)
