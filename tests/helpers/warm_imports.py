"""Imports what servers of the API and workers import, but for what reads the environment when it is imported."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import sys
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Final, NoReturn

import api
import core
import notifier

_READS_THE_ENVIRONMENT: Final = {"prometheus_client", "core.celery", "api.gunicorn_conf"}
_OF_CELERY: Final = ("celery.bin.celery", "celery.apps.beat", "celery.apps.worker", "celery.concurrency.prefork")


class _Refusing(MetaPathFinder):
    """Lets nothing be imported that reads the environment, nor what imports that."""

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> None:
        """:raises ImportError: it may not be imported."""
        if fullname in _READS_THE_ENVIRONMENT:
            raise ImportError(fullname)


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError as error:
        if error.msg not in _READS_THE_ENVIRONMENT:
            raise


refusing = _Refusing()
sys.meta_path.insert(0, refusing)
for package in (core, api, notifier):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            _import(module.name)
for name in (*_OF_CELERY, "gunicorn.app.wsgiapp"):
    _import(name)
sys.meta_path.remove(refusing)
gc.collect()
gc.freeze()
