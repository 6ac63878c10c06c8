"""The baseline: a Celery application with our settings, whose only task does nothing.

``celery -A bench.notifier.noop worker``
"""

from __future__ import annotations

from bench.notifier import NOTHING
from core.notifications.broker import make_celery
from core.settings import read_settings

app = make_celery(read_settings())
app.conf.include = ()  # not our tasks, which do something when a worker starts


@app.task(name=NOTHING)  # type: ignore[untyped-decorator]
def nothing(notification_id: str) -> None:
    """Do nothing; has the same argument as our task."""
