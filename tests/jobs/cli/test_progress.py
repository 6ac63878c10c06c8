"""The progress bar: shown on a terminal, not in a log."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import threading
from pathlib import Path

import pytest
from command_line import CommandLine, CommandResult, wait_until
from transactions import spread, write_bson


@pytest.fixture
def jobs(tmp_path: Path) -> CommandLine:
    write_bson(tmp_path / "shop.bson", spread(["a", "b"], days=30))
    return CommandLine(tmp_path)


class Terminal:
    """A terminal as the standard error of one process, and everything that it showed."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        self._shown = b""
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()

    def _watch(self) -> None:
        with contextlib.suppress(OSError):  # the other side is closed
            while content := os.read(self._ours, 65_536):
                self._shown += content

    @property
    def shown(self) -> str:
        """The output so far."""
        return self._shown.decode(errors="replace")

    def close(self) -> None:
        """Wait until the process has closed it."""
        self._watcher.join()
        os.close(self._ours)


def on_a_terminal(jobs: CommandLine, *arguments: str, columns: int = 120) -> tuple[CommandResult, str]:
    """The result of a command, and what it showed on a terminal as standard error."""
    terminal = Terminal()
    running = jobs.start(*arguments, stderr=terminal.theirs, COLUMNS=str(columns))
    os.close(terminal.theirs)
    result = running.wait()
    terminal.close()
    return result, terminal.shown


def test_the_progress_bar_shows_bytes_and_documents(jobs: CommandLine) -> None:
    result, shown = on_a_terminal(jobs, "rebuild", "shop.bson")
    assert result.code == 0
    size_kb = (jobs.folder / "shop.bson").stat().st_size / 1000
    assert f"{size_kb:.1f}/{size_kb:.1f} kB" in shown
    assert "60 documents, " in shown
    assert "Read 60 documents" in result.out


def test_the_progress_bar_fits_80_columns(jobs: CommandLine) -> None:
    name = "a very long name of a [red]file[bold] that holds the transactions of last year.bson"
    (jobs.folder / "shop.bson").rename(jobs.folder / name)
    result, shown = on_a_terminal(jobs, "rebuild", name, columns=80)
    assert result.code == 0
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line).strip("\r") for line in re.split(r"[\r\n]+", shown)]
    read = [line for line in lines if "60 documents, " in line]
    assert any(line.startswith("reading a ") and "…" in line for line in read)
    assert max(map(len, lines)) <= 80
    assert all(re.search(r"\d+\.\d/\d+\.\d kB", line) for line in read)


def test_the_progress_bar_counts_published_summaries(store_url: str, jobs: CommandLine) -> None:
    result, shown = on_a_terminal(jobs, "rebuild", "shop.bson", "--store", store_url, columns=80)
    assert result.code == 0
    published = re.search(r"Published (\d+) summaries", result.out)
    assert published is not None
    assert re.search(rf"publishing .*{published[1]}/{published[1]} summaries", shown)


def test_the_progress_bar_moves_while_a_slow_source_is_read(jobs: CommandLine) -> None:
    terminal = Terminal()
    read_end, write_end = os.pipe()
    running = jobs.start("rebuild", "-", stdin=read_end, stderr=terminal.theirs, COLUMNS="120")
    os.close(terminal.theirs)
    os.close(read_end)
    os.write(write_end, (jobs.folder / "shop.bson").read_bytes())
    wait_until(lambda: "reading standard input" in terminal.shown)
    os.close(write_end)
    assert running.wait().code == 0
    terminal.close()


def test_the_progress_bar_is_removed_before_an_error_is_printed(jobs: CommandLine) -> None:
    (jobs.folder / "cut.bson").write_bytes((jobs.folder / "shop.bson").read_bytes()[:-1])
    result, shown = on_a_terminal(jobs, "rebuild", "cut.bson")
    assert result.code == 1
    error = shown.index("Error: cut.bson is damaged at byte")
    assert "\x1b[2K" in shown[:error], "its line is cleared"
    assert shown.rindex("\x1b[?25h") < error, "the cursor is shown again"


def test_without_a_terminal_there_is_no_progress_bar(jobs: CommandLine) -> None:
    assert jobs("rebuild", "shop.bson").err == ""


def test_json_output_has_no_progress_bar_even_on_a_terminal(jobs: CommandLine) -> None:
    result, shown = on_a_terminal(jobs, "rebuild", "shop.bson", "--json")
    assert result.json["run"]["status"] == "published"
    assert shown == ""
