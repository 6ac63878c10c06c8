"""Decoders turn chunks of one format into batches, by the compiled kernels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np

from core.errors import SourceDamaged
from core.stores.runs import Counts
from jobs.decode.batch import Batch, Chunk, LeadingRejects, Reject
from jobs.decode.bson_kernel import decode_bson, new_templates, new_walk
from jobs.decode.classify import Window, rules_for
from jobs.decode.documents import bson_document, json_document
from jobs.decode.jit import PADDING, Int64s
from jobs.decode.json_kernel import decode_json
from jobs.decode.json_templates import new_json_templates
from jobs.decode.json_values import new_found
from jobs.decode.json_walk import new_walk_buffers
from jobs.decode.merchants import MerchantTable
from jobs.decode.numbers import new_day
from jobs.decode.outputs import DAMAGED, DONE, MERCHANTS_FULL, SCRATCH_FULL, Outputs, new_outputs
from jobs.decode.plan import Fields, plan_paths
from jobs.decode.reasons import describe
from jobs.decode.slots import new_slots

ROWS: Final = 32_768
"""The most transactions in one batch."""
REJECTS: Final = 4096
"""The most rejects in one batch."""
_FIRST_SCRATCH: Final = 4096


class _HasEnd(Protocol):
    @property
    def end(self) -> int: ...


C = TypeVar("C", bound=_HasEnd)


def batch_of(outputs: Outputs, reject: Callable[[Int64s], Reject]) -> Batch:
    """The batch in the kernel's output arrays; `reject` converts a row (result, start, end)."""
    read, counted, rejected, filtered, out_of_range, leading = outputs.counts.tolist()
    outcomes: list[int] = outputs.rejects[:rejected, 0].tolist()
    return Batch(
        outputs.codes[:counted],
        outputs.amounts[:counted],
        outputs.instants[:counted],
        Counts(read, counted, rejected, filtered, out_of_range),
        map(reject, outputs.rejects[:rejected]),
        {_reason(outcome): count for outcome, count in sorted(Counter(outcomes).items())},
        _leading(outcomes[:leading], read),
    )


def _reason(outcome: int) -> str:
    return ": ".join(describe(outcome))


def _leading(outcomes: list[int], read: int) -> LeadingRejects:
    """The leading rejects of `read` documents, of which the first have the results `outcomes`."""
    if not outcomes:
        return LeadingRejects(whole=read == 0)
    count = next((i for i, outcome in enumerate(outcomes) if outcome != outcomes[0]), len(outcomes))
    return LeadingRejects(count, _reason(outcomes[0]), whole=count == read)


class CompiledDecoder(ABC, Generic[C]):
    """Base of the decoders: grows the merchant table and scratch memory on demand, and cuts batches to size.

    One instance belongs to one thread.
    """

    def __init__(self, fields: Fields, window: Window) -> None:
        self.merchants = MerchantTable()
        self._paths = fields.paths()
        self._rules = rules_for(fields, window)
        self._slots = new_slots(len(self._paths))
        self._scratch = np.zeros(_FIRST_SCRATCH, np.uint8)

    def batches(self, chunk: C) -> Iterator[Batch]:
        """The transactions of `chunk`, in order, in batches of bounded size.

        :raises SourceDamaged: the content breaks the format's rules; names the position.
        """
        at, end = 0, chunk.end
        while at < end:
            outputs = new_outputs(min(ROWS, end - at), min(REJECTS, end - at))
            status, at = self._run(chunk, at, end, outputs)
            while status in (MERCHANTS_FULL, SCRATCH_FULL):
                if status == MERCHANTS_FULL:
                    self.merchants.grow()
                else:
                    self._scratch = np.zeros(end - at + 2 * PADDING, np.uint8)
                status, at = self._run(chunk, at, end, outputs)
            if status == DAMAGED:
                self._raise_damage(chunk, at)
            yield batch_of(outputs, lambda row: self._reject(chunk, row))
            if status == DONE:
                return

    @abstractmethod
    def _run(self, chunk: C, at: int, end: int, outputs: Outputs) -> tuple[int, int]: ...

    @abstractmethod
    def _reject(self, chunk: C, row: Int64s) -> Reject: ...

    def _raise_damage(self, chunk: C, at: int) -> None:
        raise AssertionError(f"this format has no damage inside documents, yet byte {at} is said to be damaged")


class _TextDecoder(CompiledDecoder[Chunk]):
    """Decodes chunks of bytes.

    :param document: converts the bytes of a reject to a document.
    """

    def __init__(self, fields: Fields, window: Window, document: Callable[[bytes], Any]) -> None:
        super().__init__(fields, window)
        self._document = document

    def _reject(self, chunk: Chunk, row: Int64s) -> Reject:
        outcome, start, end = (int(n) for n in row)
        raw = chunk.data[start:end].tobytes()
        document = self._document
        return Reject(chunk.source, chunk.position + start, "byte", *describe(outcome), lambda: document(raw))


class BsonDecoder(_TextDecoder):
    """Decodes chunks of BSON documents whose outer lengths are valid."""

    def __init__(self, fields: Fields, window: Window) -> None:
        super().__init__(fields, window, bson_document)
        self._plan = plan_paths(self._paths, b"\0")
        self._walk = new_walk(len(self._paths))
        self._templates = new_templates(len(self._paths))

    def _run(self, chunk: Chunk, at: int, end: int, outputs: Outputs) -> tuple[int, int]:
        status, at = decode_bson(
            chunk.data,
            at,
            end,
            self._plan,
            self._rules,
            self._walk,
            self._templates,
            self._slots,
            self._scratch,
            self.merchants.state,
            outputs,
        )
        return status, at


class JsonDecoder(_TextDecoder):
    """Decodes chunks of JSON documents.

    :param one_line: one document per line; a newline inside a document is then damage.
    """

    def __init__(self, fields: Fields, window: Window, *, one_line: bool) -> None:
        super().__init__(fields, window, json_document)
        self._plan = plan_paths(self._paths, b'"')
        self._buffers = new_walk_buffers()
        self._templates = new_json_templates()
        self._found = new_found(len(self._paths))
        self._day = new_day()
        self._one_line = one_line

    def _run(self, chunk: Chunk, at: int, end: int, outputs: Outputs) -> tuple[int, int]:
        status, at = decode_json(
            chunk.data,
            at,
            end,
            self._one_line,
            self._plan,
            self._rules,
            self._buffers,
            self._templates,
            self._found,
            self._day,
            self._slots,
            self._scratch,
            self.merchants.state,
            outputs,
        )
        return status, at

    def _raise_damage(self, chunk: Chunk, at: int) -> None:
        position = chunk.position + at
        if at >= chunk.end or (self._one_line and chunk.data[at] == 0x0A):
            raise SourceDamaged(chunk.source, position, "a JSON document is truncated")
        found = chunk.data[at : min(at + 20, chunk.end)].tobytes().decode(errors="replace")
        raise SourceDamaged(chunk.source, position, f"this is not valid JSON, from {found!r} on")
