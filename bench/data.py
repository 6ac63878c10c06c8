"""The input files: written once with ``python -m jobs sample``, under a name with their parameters."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.programs import TWO_GZIPPED
from bench.programs.yardsticks import read
from bench.running import ROOT, run, say

MERCHANTS: Final = 200
SEED: Final = 1403
WARM_UP_TRANSACTIONS: Final = 20_000
_TIMEOUT_S: Final = 1800


@dataclass(frozen=True, slots=True)
class Data:
    """A folder of sample exports; those of another version of `jobs.sample` are removed from it.

    :param transactions: number of transactions at scale 1.
    """

    folder: Path
    transactions: int

    def file(self, form: str, scale: int = 1) -> Path:
        """The export to measure on, in the form of that suffix; every form holds the same documents."""
        return self.made(form, self.transactions * scale, MERCHANTS)

    def warm_up(self, form: str) -> Path:
        """A small export of the same kind."""
        return self.made(form, WARM_UP_TRANSACTIONS, MERCHANTS)

    def made(self, form: str, transactions: int, merchants: int) -> Path:
        """An export in the form of that suffix."""
        version = hashlib.sha256((ROOT / "jobs" / "sample.py").read_bytes()).hexdigest()[:12]
        path = self.folder / f"sample-{version}-{transactions}-of-{merchants}-seed-{SEED}{form}"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            for stale in self.folder.glob("sample-*"):
                if not stale.name.startswith(f"sample-{version}-"):
                    shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
            say(f"writing {path.name}")
            # In separate processes: the kernel counts the memory of this process as the peak of its children too.
            if form in (".csv", ".parquet"):
                lines = self.made(".jsonl", transactions, merchants)
                _run_module("bench.convert", str(lines), str(path.resolve()))
            elif form == TWO_GZIPPED:
                half = self.made(".bson.gz", transactions // 2, merchants)
                path.mkdir()
                for name in ("first.bson.gz", "second.bson.gz"):
                    (path / name).hardlink_to(half)
            else:
                options = ["--transactions", str(transactions), "--merchants", str(merchants), "--seed", str(SEED)]
                _run_module("jobs", "sample", str(path.resolve()), *options)
        return path.resolve()


def _run_module(*arguments: str) -> None:
    run([sys.executable, "-m", *arguments], _TIMEOUT_S)


def into_page_cache(path: Path) -> None:
    """Read the file once, so that all programs find it in the page cache."""
    for one in path.iterdir() if path.is_dir() else (path,):
        read(one)
