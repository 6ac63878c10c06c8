"""Imports what servers of the API and workers import, but for what reads the environment when it is imported."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import sys
from importlib.abc import MetaPathFinder
from typing import Final

import api
import core
import notifier

_READS_THE_ENVIRONMENT: Final = {"prometheus_client", "core.celery", "api.gunicorn_conf"}
_OTHERS: Final = (
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "gunicorn.app.wsgiapp",
)


class _Refusing(MetaPathFinder):
    """Lets nothing be imported that reads the environment, nor what imports that."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """:raises ImportError: it may not be imported."""
        if fullname in _READS_THE_ENVIRONMENT:
            raise ImportError(fullname)


def _import_all() -> None:
    modules = [
        module.name
        for package in (core, api, notifier)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not module.name.endswith("__main__")
    ]
    for name in (*modules, *_OTHERS):
        try:
            importlib.import_module(name)
        except ImportError as error:
            if error.msg not in _READS_THE_ENVIRONMENT:
                raise


_refusing = _Refusing()
sys.meta_path.insert(0, _refusing)
try:
    _import_all()
finally:
    sys.meta_path.remove(_refusing)
gc.collect()
gc.freeze()
