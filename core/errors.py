"""All errors that users see, in one hierarchy.

::

    ServiceError                 exit 1
    ├── UsageError               exit 2   wrong options
    │   └── SettingsError                 a variable's value is invalid
    ├── SourceError              exit 1   a source cannot be read
    │   ├── UnknownFormat                 no supported format
    │   ├── SourceDamaged                 truncated, wrong checksum, impossible length
    │   │   └── WrongRow                  more or fewer fields than the header
    │   ├── SourceChanged                 an object changed while it was read
    │   └── NothingCounted                no document of it was counted
    ├── TooManyRejects           exit 3   more rejects than --max-reject-ratio allows
    ├── WouldShrink              exit 5   published transactions would be removed
    ├── ConservationBroken       exit 1   the numbers of a run are inconsistent
    ├── TotalTooLarge            exit 1   a total overflows int64
    ├── MaybeSent                exit 3   the gateway may have accepted a message
    ├── ClockDiffers             exit 1   this host's clock differs from that of Redis
    ├── Interrupted              exit 128 + signal number
    └── StoreError               exit 1
        ├── StoreUnavailable              unwritable, full, or down
        │   ├── StoreBusy                 other writers kept it busy
        │   ├── StoreUnwritable           a write failed; reads may still work
        │   └── StoreMissing              there is no store yet
        ├── StoreTooNew                   written by a newer version of this program
        ├── RunHeld                       another run is in progress
        ├── RunTakenOver                  another run has closed this one
        ├── FingerprintMismatch           the store was built with another time zone, calendar, field or filter
        └── PublicationLost               another run published first

Each error has the sentence and the hint that a user sees. The edge (command line, HTTP, task) converts it to an exit
code, a problem document or a delivery status.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class WrongField:
    """A field that no document has, or of an unsuitable type.

    :param role: ``merchant``, ``amount``, ``time`` or ``filter``.
    :param names: the names of existing fields, if known.
    """

    role: str
    path: str
    names: tuple[str, ...] = ()


class ServiceError(Exception):
    """Base of all errors for users.

    :param sentence: what failed, a sentence without full stop.
    :param hint: what the user can do, or an empty string.
    :param wrong_field: the field that caused it, or None; the command line suggests others.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str, hint: str = "", wrong_field: WrongField | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint
        self.wrong_field = wrong_field

    @property
    def kind(self) -> str:
        """The name of the error in JSON: the class name by default."""
        return type(self).__name__


class UsageError(ServiceError):
    """Wrong options, or options that contradict each other."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting's value is invalid; the sentence has the variable, its value and the allowed values."""


class ClockDiffers(ServiceError):
    """The clock of this host differs from that of Redis, so other hosts would run its tasks too early or too late."""


class SourceError(ServiceError):
    """A source cannot be read: it is missing, lacks the collection or a column, or is not readable."""


class UnknownFormat(SourceError):
    """The content has no supported format."""


class SourceDamaged(SourceError):
    """A source that is truncated, has a wrong checksum or an impossible length. Always fails the run.

    :param source: the name of the file or stream.
    :param offset: the position in bytes of the uncompressed content.
    :param exact: whether the sentence shows the offset; else `reason` has the place.
    """

    def __init__(self, source: str, offset: int, reason: str, *, exact: bool = True) -> None:
        at = f" at byte {offset}" if exact else ""
        super().__init__(
            f"{source} is damaged{at}: {reason}",
            "Nothing was published. Export the data again, or copy the file again and compare its checksum.",
        )
        self.source = source
        self.offset = offset
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source, self.offset, self.reason)


class WrongRow(SourceDamaged):
    """A CSV row with another number of fields than the header.

    :param offset: the beginning of its chunk.
    :param row: its number from 1, relative to the chunk or partition.
    :param expected: the fields of the header; `found` those of the row.
    """

    def __init__(self, source: str, offset: int, row: int, expected: int, found: int) -> None:
        reason = f"this is not valid CSV: row {row} has {found} fields, and the header {expected}"
        super().__init__(source, offset, reason, exact=False)
        self._counts = row, expected, found

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source, self.offset, *self._counts)

    def after(self, rows: int) -> WrongRow:
        """The same error with the row number increased by `rows`."""
        row, expected, found = self._counts
        return WrongRow(self.source, self.offset, rows + row, expected, found)


class SourceChanged(SourceError):
    """A remote object changed while it was read, so the bytes are of two versions."""


class NothingCounted(SourceError):
    """No document of the sources was counted, which does not prove that there were no transactions."""


class TooManyRejects(ServiceError):
    """More documents were rejected than the run allows; nothing was published."""

    exit_code = 3


class WouldShrink(ServiceError):
    """A run would remove more published transactions than allowed; nothing was published."""

    exit_code = 5


class ConservationBroken(ServiceError):
    """The numbers of a run are inconsistent: a defect of this program, detected before publishing."""


class TotalTooLarge(ServiceError):
    """The total of a merchant and period overflows a signed 64-bit integer."""


class MaybeSent(ServiceError):
    """The gateway may have accepted a message, so sending it again may duplicate it."""

    exit_code = 3


class Interrupted(ServiceError):
    """A signal asked the run to stop; nothing was published.

    :param signal_number: the signal's number, such as 2 for SIGINT.
    """

    def __init__(self, signal_number: int, name: str) -> None:
        super().__init__(
            f"stopped by {name}, nothing was published", "Run the same command again; it starts from the beginning."
        )
        self.signal_number = signal_number


class StoreError(ServiceError):
    """Base of the errors of stores."""


class StoreUnavailable(StoreError):
    """The store is unwritable, full, or down."""


class StoreBusy(StoreUnavailable):
    """Other writers kept the store busy until the time-out."""


class StoreUnwritable(StoreUnavailable):
    """A write failed, as on a full disk or a read-only file system; reads may still work."""


class StoreMissing(StoreUnavailable):
    """The store does not exist yet."""


class StoreTooNew(StoreError):
    """The store was written by a newer version of this program, whose schema this one does not know."""


class RunHeld(StoreError):
    """Another run is in progress; the sentence names it and its process."""


class RunTakenOver(StoreError):
    """Another run has closed this one, whose heartbeat was too old."""


class FingerprintMismatch(StoreError):
    """The store was built with another time zone, calendar, field or filter."""

    @property
    def kind(self) -> str:
        """The name in JSON of earlier versions, which clients may depend on."""
        return "MeaningMismatch"


class PublicationLost(StoreError):
    """Another run published the next generation first."""


def exit_code_of(error: ServiceError) -> int:
    """The exit code of the command line for `error`: 1, 2, 3, 5, or 128 + the signal's number."""
    return 128 + error.signal_number if isinstance(error, Interrupted) else error.exit_code
