"""Every error a user can meet, in one hierarchy.

::

    ServiceError                 exit 1
    ├── UsageError               exit 2   the call cannot mean anything
    │   └── SettingsError                 a variable's value is not allowed
    ├── SourceError              exit 1   a source cannot be read
    │   ├── UnknownFormat                 nothing we know looks like this
    │   ├── SourceDamaged                 cut short, wrong checksum, impossible length
    │   │   └── WrongRow                  more or fewer fields than the header
    │   ├── SourceChanged                 an object is another one than when reading began
    │   └── NothingCounted                no document of it counts
    ├── TooManyRejects           exit 3   more rejects than --max-reject-ratio allows
    ├── WouldShrink              exit 5   published transactions would be removed
    ├── ConservationBroken       exit 1   the numbers of a run do not add up
    ├── TotalTooLarge            exit 1   a total does not fit int64
    ├── MaybeSent                exit 3   the gateway may have a message, and did not say so
    ├── ClockDiffers             exit 1   this host has another time than Redis
    ├── Interrupted              exit 128 + signal number
    └── StoreError               exit 1
        ├── StoreUnavailable              unwritable, full, or down
        │   ├── StoreBusy                 others kept writing to it
        │   ├── StoreUnwritable           a write failed; what is stored can still be read
        │   └── StoreMissing              nothing was built there yet
        ├── StoreTooNew                   written by a newer version of this program
        ├── RunHeld                       another run is under way
        ├── RunTakenOver                  another run has closed this one
        ├── FingerprintMismatch           the store was built with another time zone, calendar, field or filter
        └── PublicationLost               another run published first

Each error knows the one sentence and the hint that a user sees; the edge (command line, HTTP, task) turns it into an
exit code, a problem document or a delivery status, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class WrongField:
    """A field that is missing everywhere, or of a type that cannot be counted.

    :param role: ``merchant``, ``amount``, ``time`` or ``filter``.
    :param path: the field that was looked for.
    :param names: the names of the fields that are there, as far as they are known.
    """

    role: str
    path: str
    names: tuple[str, ...] = ()


class ServiceError(Exception):
    """Base of all errors that are shown to a user.

    :param sentence: what happened, one sentence without a final full stop.
    :param hint: what the user can do about it, or an empty string.
    :param wrong_field: the field that is to blame, if one is; the command line then looks for the right one.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str, hint: str = "", wrong_field: WrongField | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint
        self.wrong_field = wrong_field

    @property
    def kind(self) -> str:
        """The name of the error in JSON: that of the class, unless the class says otherwise."""
        return type(self).__name__


class UsageError(ServiceError):
    """The call cannot mean anything: wrong options, or options that contradict one another."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting's value is not allowed; the sentence names the variable, what was found and what is allowed."""


class ClockDiffers(ServiceError):
    """The clock of this host differs from that of Redis: what it says would be due too early or too late for others."""


class SourceError(ServiceError):
    """A source cannot be read: it is missing, lacks the collection or a column, or may not be opened."""


class UnknownFormat(SourceError):
    """The content is none of the formats the program reads."""


class SourceDamaged(SourceError):
    """A source that is cut short, has a wrong checksum or a length that cannot be. Always fails the run.

    :param source: the name of the file or stream.
    :param offset: where, in bytes from the beginning of the uncompressed content.
    :param reason: what is wrong there.
    :param exact: whether it is known so exactly that the sentence shows the offset; else `reason` says where it is.
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
    """A row of a CSV file has another number of fields than the header.

    :param offset: where the rows begin that were read together with it.
    :param row: its number, from 1, among the rows after some place.
    :param expected: the fields of the header; `found` those of the row.
    """

    def __init__(self, source: str, offset: int, row: int, expected: int, found: int) -> None:
        reason = f"this is no valid CSV: row {row} has {found} fields, and the header {expected}"
        super().__init__(source, offset, reason, exact=False)
        self._counts = row, expected, found

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source, self.offset, *self._counts)

    def after(self, rows: int) -> WrongRow:
        """The same error where `rows` rows come before that place."""
        row, expected, found = self._counts
        return WrongRow(self.source, self.offset, rows + row, expected, found)


class SourceChanged(SourceError):
    """A remote object was written while it was read: what was read belongs to two versions."""


class NothingCounted(SourceError):
    """No document of the sources counts, which does not prove that there were no transactions."""


class TooManyRejects(ServiceError):
    """More documents were rejected than the run allows; nothing was published."""

    exit_code = 3


class WouldShrink(ServiceError):
    """A run would remove more published transactions than it may; nothing was published."""

    exit_code = 5


class ConservationBroken(ServiceError):
    """The numbers of a run do not add up: a defect of this program, caught before anything was published."""


class TotalTooLarge(ServiceError):
    """The total of a merchant and period does not fit a signed 64-bit integer."""


class MaybeSent(ServiceError):
    """The gateway may have taken a message: sending it again may be once too often."""

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
    """The store cannot do what was asked."""


class StoreUnavailable(StoreError):
    """The store is unwritable, full, or down."""


class StoreBusy(StoreUnavailable):
    """Others kept writing to the store for as long as one waits; it is well otherwise."""


class StoreUnwritable(StoreUnavailable):
    """A write failed, as on a full disk or a read-only file system; it says nothing about reading."""


class StoreMissing(StoreUnavailable):
    """There is no store yet at the place where one was looked for."""


class StoreTooNew(StoreError):
    """The store was written by a newer version of this program, whose schema this one does not know."""


class RunHeld(StoreError):
    """Another run is under way; the sentence says which, and who holds it."""


class RunTakenOver(StoreError):
    """Another run has closed this one, whose heartbeat was too old."""


class FingerprintMismatch(StoreError):
    """The store was built with another time zone, calendar, field or filter."""

    @property
    def kind(self) -> str:
        """The name that programs know."""
        return "MeaningMismatch"


class PublicationLost(StoreError):
    """Another run published the generation that this one had prepared."""


def exit_code_of(error: ServiceError) -> int:
    """The exit code of the command line for `error`: 1, 2, 3, 5, or 128 + the signal's number."""
    return 128 + error.signal_number if isinstance(error, Interrupted) else error.exit_code
