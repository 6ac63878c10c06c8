"""Outputs of the compiled decoders: the arrays of one batch, and the status with which a decoder stopped."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from jobs.decode import reasons as why
from jobs.decode.jit import Bool, Int, Int32s, Int64s, helper

DONE: Final = 0
ROWS_FULL: Final = 1
REJECTS_FULL: Final = 2
MERCHANTS_FULL: Final = 3
DAMAGED: Final = 4
SCRATCH_FULL: Final = 5

READ: Final = 0
COUNTED: Final = 1
REJECTED: Final = 2
FILTERED: Final = 3
OUT_OF_RANGE: Final = 4
LEADING: Final = 5


class Outputs(NamedTuple):
    """The arrays that a decoder fills for one batch.

    ``codes``, ``amounts`` and ``instants`` are those of the counted documents; ``rejects`` has a row (result, start,
    end) for each reject. ``counts`` has the counters `READ`, `COUNTED`, `REJECTED`, `FILTERED` and `OUT_OF_RANGE`;
    `COUNTED` and `REJECTED` are the numbers of filled rows of the other arrays. `LEADING` is the number of rejects
    before the first document that is not rejected.
    """

    codes: Int32s
    amounts: Int64s
    instants: Int64s
    rejects: Int64s
    counts: Int64s


def new_outputs(rows: int, rejects: int) -> Outputs:
    """Arrays with capacity for so many counted documents and rejects."""
    return Outputs(
        np.empty(rows, np.int32),
        np.empty(rows, np.int64),
        np.empty(rows, np.int64),
        np.empty((rejects, 3), np.int64),
        np.zeros(6, np.int64),
    )


def whole_outputs(codes: Int32s, amounts: Int64s, instants: Int64s) -> Outputs:
    """The outputs for documents that are all counted."""
    count = len(codes)
    # Read-only arrays have another Numba type, for which the kernels would be compiled again.
    amounts, instants = np.require(amounts, requirements="W"), np.require(instants, requirements="W")
    return Outputs(codes, amounts, instants, np.empty((0, 3), np.int64), np.array([count, count, 0, 0, 0, 0]))


@helper
def what_is_full(outputs: Outputs) -> Int:
    """`ROWS_FULL` or `REJECTS_FULL` if no further document fits, else `DONE`."""
    if outputs.counts[COUNTED] == outputs.codes.size:
        return ROWS_FULL
    if outputs.counts[REJECTED] == outputs.rejects.shape[0]:
        return REJECTS_FULL
    return DONE


@helper
def record(outcome: Int, code: Int, amount: Int, instant: Int, start: Int, end: Int, outputs: Outputs) -> Bool:
    """Record the result of `jobs.decode.classify.classify` for the document from `start` to `end`.

    False, with nothing recorded, if the merchant table must grow before the document can be classified.
    """
    if outcome == why.NO_CAPACITY:
        return False
    if outcome == why.COUNTED:
        row = outputs.counts[COUNTED]
        outputs.codes[row] = code
        outputs.amounts[row] = amount
        outputs.instants[row] = instant
        outputs.counts[COUNTED] += 1
    elif outcome == why.FILTERED:
        outputs.counts[FILTERED] += 1
    elif outcome == why.OUT_OF_RANGE:
        outputs.counts[OUT_OF_RANGE] += 1
    else:
        reject = outputs.counts[REJECTED]
        if reject == outputs.counts[READ]:
            outputs.counts[LEADING] += 1
        outputs.rejects[reject, 0] = outcome
        outputs.rejects[reject, 1] = start
        outputs.rejects[reject, 2] = end
        outputs.counts[REJECTED] += 1
    outputs.counts[READ] += 1
    return True
