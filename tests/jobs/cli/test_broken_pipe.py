"""Broken pipes and full disks as standard output, and terminal escapes in names."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
import typer
from command_line import ROOT, CommandLine, CommandResult
from rich.cells import cell_len
from transactions import Transaction, spread, write_bson
from unmeasured import unmeasured

from core.command_line import edge

DRIFT = 4
ESCAPE = "\x1b[31m\x9bred"


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A store of ``right.bson``, in a folder that also has ``wrong.bson``; no test publishes anything."""
    folder = tmp_path_factory.mktemp("built")
    transactions = spread(["a", "b"], days=5)
    write_bson(folder / "right.bson", transactions)
    write_bson(folder / "wrong.bson", [*transactions, Transaction(ESCAPE, 5, transactions[0].at)])
    jobs = CommandLine(folder)
    assert jobs("rebuild", "right.bson").code == 0
    return jobs


@contextmanager
def full() -> Iterator[int]:
    """A descriptor to which nothing can be written, for want of room."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@contextmanager
def unread() -> Iterator[int]:
    """A pipe without a reader."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    yield write_end
    os.close(write_end)


def call(jobs: CommandLine, descriptor: int, *arguments: str) -> CommandResult:
    return jobs.start(*arguments, stdout=descriptor).wait()


@pytest.mark.parametrize(("source", "code"), [("right.bson", 0), ("wrong.bson", DRIFT)])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_the_exit_code_of_verify_is_kept_when_the_pipe_is_closed(
    jobs: CommandLine, source: str, code: int, form: tuple[str, ...]
) -> None:
    with unread() as descriptor:
        result = call(jobs, descriptor, "verify", source, *form)
    assert (result.code, result.err) == (code, "")


@pytest.mark.parametrize(("source", "code"), [("right.bson", 1), ("wrong.bson", DRIFT)])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_output_to_a_full_disk_fails_with_one_sentence(
    jobs: CommandLine, source: str, code: int, form: tuple[str, ...]
) -> None:
    with full() as descriptor:
        result = call(jobs, descriptor, "verify", source, *form)
    result.require_failure(code, "standard output cannot be written: No space left on device")
    assert "its output is lost" in result.err


def test_unbuffered_output_fails_with_the_same_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with PYTHONUNBUFFERED, which containers set."""
    with io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True) as unbuffered:
        monkeypatch.setattr(sys, "stdout", unbuffered)
        with pytest.raises(typer.Exit) as end, edge():
            typer.echo("an answer")
    assert end.value.exit_code == 1
    assert capsys.readouterr().err.startswith("Error: standard output cannot be written: No space left on device.")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("verify wrong.bson 2>&-", DRIFT),
        ("verify wrong.bson <&- >&- 2>&-", DRIFT),
        ("export - --format csv --mode daily >&-", 1),
        ("summary --type amount --mode daily >&-", 1),
    ],
)
def test_only_output_needs_standard_descriptors(jobs: CommandLine, command: str, code: int) -> None:
    ended = subprocess.run(
        ["sh", "-c", f'exec "$0" -m jobs {command}', sys.executable],
        cwd=jobs.folder,
        env=unmeasured(dict(os.environ)) | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert ended.returncode == code
    assert ended.stderr.startswith(
        b"Error: standard output cannot be written: Bad file descriptor." if code == 1 else b""
    )


def test_unbuffered_output_that_a_full_disk_takes_only_partly_is_not_a_success(jobs: CommandLine) -> None:
    with tempfile.TemporaryFile() as out:
        ended = subprocess.run(
            ["sh", "-c", 'ulimit -f 1 && exec "$0" -m jobs --help', sys.executable],
            cwd=jobs.folder,
            env=unmeasured(dict(os.environ)) | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith(b"Error: standard output cannot be written: File too large.")


def test_programs_that_a_command_starts_have_standard_descriptors() -> None:
    child = "import os; os.fstat(0), os.fstat(1), os.fstat(2)"
    parent = (
        "import subprocess, sys; from core.command_line import _open_standard_descriptors as open_them; open_them(); "
        f"sys.exit(subprocess.call([sys.executable, '-c', {child!r}]))"
    )
    ended = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, parent],
        env=unmeasured(dict(os.environ)) | {"PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_buffered_export_to_a_full_disk_fails_with_one_sentence(jobs: CommandLine, form: str) -> None:
    with full() as descriptor:
        result = call(jobs, descriptor, "export", "-", "--mode", "monthly", "--format", form)
    result.require_failure(1, "standard output cannot be written: No space left on device")


@pytest.mark.parametrize("sink", [full, unread])
@pytest.mark.parametrize("log", ["text", "json"])
@pytest.mark.parametrize(
    ("arguments", "code"), [("nonsense", 2), ("rebuild right.bson", 2), ("verify missing.bson", 1)]
)
def test_the_exit_code_is_correct_without_standard_error(
    jobs: CommandLine, sink: type, log: str, arguments: str, code: int
) -> None:
    with sink() as descriptor:
        result = jobs.start(*arguments.split(), stderr=descriptor, COMMAND_LOG=log).wait()
    assert (result.code, result.out) == (code, "")


def test_help_to_a_full_disk_or_closed_pipe_fails(jobs: CommandLine) -> None:
    with full() as descriptor:
        result = call(jobs, descriptor, "--help")
    result.require_failure(1, "standard output cannot be written: No space left on device")
    with unread() as descriptor:
        result = call(jobs, descriptor, "--help")
    assert (result.code, result.err) == (1, "")


def test_an_encoding_without_the_needed_characters_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with io.TextIOWrapper(io.BytesIO(), "latin-1") as narrow:
        monkeypatch.setattr(sys, "stdout", narrow)
        with pytest.raises(typer.Exit), edge():
            typer.echo("café فروشگاه")
    first, second = capsys.readouterr().err.splitlines()
    assert first == r"Error: standard output cannot be written: its encoding latin-1 lacks characters such as '\u0641'."
    assert "LC_ALL=C.UTF-8" in second


def test_a_removed_working_directory_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    os.chdir("gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(typer.Exit), edge():
        Path("a.bson").absolute()
    assert capsys.readouterr().err.startswith("Error: the command failed: the current directory was removed.")


def test_another_os_error_is_not_reported_as_lost_output(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), edge():
        os.open("/dev/null/nothing", os.O_RDONLY)
    assert capsys.readouterr().err.startswith("Error: unexpected NotADirectoryError: ")


@pytest.mark.parametrize("sink", [full, unread])
def test_a_failure_is_reported_once_if_its_json_cannot_be_written(jobs: CommandLine, sink: type) -> None:
    with sink() as descriptor:
        call(jobs, descriptor, "verify", "missing.bson", "--json").require_failure(1, "missing.bson")


def test_other_commands_exit_with_1_when_the_pipe_is_closed(jobs: CommandLine) -> None:
    with unread() as descriptor:
        result = call(jobs, descriptor, "status")
    assert (result.code, result.err) == (1, "")


def test_terminal_escapes_in_merchant_names_are_neutralized(jobs: CommandLine) -> None:
    result = jobs("verify", "wrong.bson")
    assert r"\x1b[31m\x9bred" in result.out
    assert not set("\x1b\x9b") & set(result.out)
    assert jobs("verify", "wrong.bson", "--json").json["drift"][1]["merchant_id"] == ESCAPE


def test_terminal_escapes_in_errors_and_the_ledger_are_neutralized(jobs: CommandLine) -> None:
    noon = spread(["a"], days=1, first=date(2024, 1, 1))[0].at
    large = [Transaction(ESCAPE, 2**62, noon), Transaction(ESCAPE, 2**62, noon), Transaction("b", -(2**62), noon)]
    write_bson(jobs.folder / "large.bson", large)
    err = jobs("rebuild", "large.bson", "--truncate").require_failure(1, r"\x1b[31m\x9bred")
    assert "\x1b" not in err
    result = jobs("status")
    assert r"\x1b[31m\x9bred" in result.out
    assert "\x1b" not in result.out + jobs("status", "2").out


def test_columns_are_aligned_for_any_names(jobs: CommandLine) -> None:
    transactions = spread(["a", "b"], days=5)
    wide = [Transaction(name, 5, transactions[0].at) for name in ("東京商店", "فروشگاه")]
    write_bson(jobs.folder / "wide.bson", [*transactions, *wide])
    lines = jobs("verify", "wide.bson").out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("mode"))
    assert len({cell_len(line) for line in lines[start : start + 10]}) == 1
