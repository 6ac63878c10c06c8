"""The wanted fields as arrays that the compiled walks search.

Field paths form a tree: ``card.pan`` and ``card.tags`` share the node ``card``. An *edge* leads from a node by a field
name; it ends in a slot (the value is wanted), in another node (a nested field is wanted), or both. Paths lead into
embedded documents, not into arrays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from core.errors import UsageError, WrongField
from jobs.decode.formats import Formats
from jobs.decode.jit import PADDING, Bytes, Int, Int64s, Uint64s, helper, load_u64

NO_SLOT: Final = -1
NO_NODE: Final = -1
MAX_DEPTH: Final = 16
"""The most names a field path may have."""
_MAX_SLOTS: Final = 62
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a raw transaction that are read.

    :param merchant: field path of the merchant, with dots for embedded documents. Likewise `amount` and `time`.
    :param where: equality filters as (field path, value) pairs. A value matches the string of that text, the integer
        (of any numeric type) of those digits, the ObjectId of those hex digits, ``true``, ``false`` and ``null``.
    :param formats: accepted forms of amounts and times.
    """

    merchant: str = "merchantId"
    amount: str = "amount"
    time: str = "createdAt"
    where: tuple[tuple[str, str], ...] = ()
    formats: Formats = field(default_factory=Formats)

    def paths(self) -> tuple[str, ...]:
        """The distinct paths in the order of slots: time, merchant, amount, filters."""
        return tuple(dict.fromkeys((self.time, self.merchant, self.amount, *(path for path, _ in self.where))))

    @property
    def times_are_dates(self) -> bool:
        """Whether every time is a date, so that a server can query by it."""
        return self.formats.time_format is None

    def wrong(self, path: str, names: Iterable[str]) -> WrongField:
        """The error message for a column or field `path` that does not fit its role.

        :param names: the fields that exist.
        """
        roles = {self.time: "time", self.merchant: "merchant", self.amount: "amount"}
        return WrongField(roles.get(path, "filter"), path, tuple(names))


def integer_of(value: str) -> int | None:
    """The 64-bit integer that a filter's `value` may denote, or None."""
    return int(value) if _INTEGER.fullmatch(value) and -(2**63) <= int(value) < 2**63 else None


class Plan(NamedTuple):
    """The tree of wanted paths. The edges of a node are those from ``node_edges[node]`` to ``node_edges[node + 1]``.

    ``head`` and ``head_mask`` hold the first 8 bytes of an edge's name including its terminator (NUL in BSON, a
    quotation mark in JSON), so that one masked comparison of a word matches short names. Whole names are in ``names``
    from ``name_start[edge]``, ``name_length[edge]`` bytes with the terminator. ``below`` is a bit set of the slots at
    or under an edge.
    """

    node_edges: Int64s
    head: Uint64s
    head_mask: Uint64s
    name_start: Int64s
    name_length: Int64s
    names: Bytes
    slot: Int64s
    node: Int64s
    below: Uint64s


@dataclass(slots=True)
class _Edge:
    """An edge with the node that it leads to, which exists if it has edges."""

    slot: int = NO_SLOT
    below: int = 0
    edges: dict[str, _Edge] = field(default_factory=dict)


def _tree(paths: tuple[str, ...]) -> _Edge:
    root = _Edge()
    for slot, path in enumerate(paths):
        parts = path.split(".")
        if not all(parts) or len(parts) > MAX_DEPTH or "\0" in path:
            raise UsageError(
                f"{path!r} is not a field path",
                f"A path is one to {MAX_DEPTH} field names separated by dots, such as amount or payment.amount.",
            )
        edge = root
        for part in parts:
            edge = edge.edges.setdefault(part, _Edge())
            edge.below |= 1 << slot
        edge.slot = slot
    return root


def plan_paths(paths: tuple[str, ...], terminator: bytes) -> Plan:
    """The plan for `paths`; slot i is for ``paths[i]``.

    :param terminator: the byte that ends a field name in the format: NUL for BSON, a quotation mark for JSON.
    :raises UsageError: a path is invalid, or there are too many.
    """
    if len(paths) > _MAX_SLOTS:
        raise UsageError(f"{len(paths)} different fields are used, more than {_MAX_SLOTS}", "Use fewer filters.")
    if terminator == b'"':
        for path in paths:
            if any(character in '"\\' or character < " " for character in path):
                raise UsageError(
                    f"{path!r} cannot be found in JSON, where its name is escaped",
                    "Use an export whose field names have no quotation mark, backslash or control character.",
                )
    nodes = [_tree(paths)]
    node_edges, head, mask, starts, lengths, slots, children, below = [0], [], [], [], [], [], [], []
    names = b""
    position = 0
    while position < len(nodes):
        for name, edge in nodes[position].edges.items():
            encoded = name.encode() + terminator
            head.append(int.from_bytes(encoded[:8], "little"))
            mask.append((1 << 8 * min(len(encoded), 8)) - 1)
            starts.append(len(names))
            lengths.append(len(encoded))
            names += encoded
            slots.append(edge.slot)
            below.append(edge.below)
            children.append(len(nodes) if edge.edges else NO_NODE)
            if edge.edges:
                nodes.append(edge)
        node_edges.append(len(head))
        position += 1
    return Plan(
        np.array(node_edges, np.int64),
        np.array(head, np.uint64),
        np.array(mask, np.uint64),
        np.array(starts, np.int64),
        np.array(lengths, np.int64),
        np.frombuffer(names + bytes(PADDING), np.uint8),
        np.array(slots, np.int64),
        np.array(children, np.int64),
        np.array(below, np.uint64),
    )


@helper
def find_edge(data: Bytes, name: Int, stop: Int, node: Int, plan: Plan) -> Int:
    """The edge of `node` for the name at `name`, or -1."""
    word = load_u64(data, name)
    for edge in range(plan.node_edges[node], plan.node_edges[node + 1]):
        if (word ^ plan.head[edge]) & plan.head_mask[edge] == np.uint64(0):
            length = plan.name_length[edge]
            if name + length > stop:
                continue
            same = True
            for i in range(8, length):
                if data[name + i] != plan.names[plan.name_start[edge] + i]:
                    same = False
                    break
            if same:
                return edge
    return -1
