"""Compilation of the decoders: decorators, and machine operations that Numba lacks.

Compiled code is cached next to the sources (or in ``NUMBA_CACHE_DIR``), in a folder named by a digest of the sources:
Numba itself checks only the file of the function that it loads, and would use stale code of functions called from other
files. `jobs.warm` compiles everything in advance.

``NUMBA_DISABLE_JIT=1`` runs everything as plain Python (for coverage), ``NUMBA_BOUNDSCHECK=1`` checks every index.
With either, memory operations use ordinary indexing, so that they are checked too. Negative indices are out of bounds:
compiled code does not count them from the end (`jobs.decode.linking`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc
from numba.core.sigutils import normalize_signature
from numba.extending import intrinsic

from jobs.decode.kernel_cache import LoadedCache
from jobs.decode.linking import KernelCompiler, PartCompiler

_config: Any = numba.config  # its attributes are set at run time

F = TypeVar("F", bound=Callable[..., Any])

Bytes = npt.NDArray[np.uint8]
Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Uint64s = npt.NDArray[np.uint64]

Int: TypeAlias = Any
"""An integer in a kernel: int64 if compiled, else int or a NumPy scalar; Any, as types cannot express that."""
Bool: TypeAlias = Any
"""A boolean in a kernel, likewise."""

PADDING: Final = 64
"""Readable bytes after the content of each buffer for a kernel, so that a word can be loaded at any position."""

CHECKED: Final = bool(_config.DISABLE_JIT or _config.BOUNDSCHECK)


def _cache_dir() -> str:
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in (*sorted(here.glob("*.py")), here.parent / "aggregate" / "groups.py"):
        digest.update(source.read_bytes())
    digest.update(b"checked" if CHECKED else b"")
    base = os.environ.get("NUMBA_CACHE_DIR") or str(Path(__file__).parent / "__pycache__")
    return str(Path(base) / f"numba-{digest.hexdigest()[:16]}")


_config.CACHE_DIR = _cache_dir()
_config.CACHE_LOCATOR_CLASSES = "jobs.decode.kernel_cache.KernelCache,InTreeCacheLocator,UserWideCacheLocator"


def is_compiled() -> bool:
    """Whether the cache has compiled code; if not, the first run takes seconds longer."""
    return Path(_config.CACHE_DIR).is_dir()


# Without Numba's reference counting (kernels allocate no arrays) calls with array arguments need no atomic operations:
# ten times as fast. The checked variant of `double_of_bits` allocates one.
_NATIVE: Final[dict[str, Any]] = {"error_model": "numpy", "_nrt": CHECKED}
_CACHE: Final = FunctionCache if CHECKED else LoadedCache  # Numba's own starts the reference counting
_OPTIONS: Final[dict[str, Any]] = {
    **_NATIVE,
    "nogil": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": KernelCompiler,
}
# Only kernels are called from Python: the wrapper that unpacks arguments takes longer to compile than the function.
_INNER: Final[dict[str, Any]] = {
    **_OPTIONS,
    **({} if CHECKED else {"no_cpython_wrapper": True, "pipeline_class": PartCompiler}),
}


def kernel(function: F) -> F:
    """Compile `function` with Numba: no Python objects, no GIL, cached on disk."""
    compiled: F = numba.njit(**_OPTIONS)(function)
    if not _config.DISABLE_JIT:
        compiled._cache = _CACHE(function)  # type: ignore[attr-defined, no-untyped-call]
    return compiled


def helper(function: F) -> F:
    """Inline `function` into the kernels that call it: a call would pass seven words for each array.

    Pass ``np.int64(1)`` instead of ``1`` if other callers pass variables: it is compiled again for each constant.
    """
    compiled: F = numba.njit(forceinline=True, **_INNER)(function)
    return compiled


def outlined(function: F) -> F:
    """Compile `function` separately from the kernels that call it: for rare calls, or many callers."""
    # Without the option, Numba takes that of the first caller, which may be a helper.
    compiled: F = numba.njit(forceinline=False, **_INNER)(function)
    return compiled


def native(signature: Any, function: Callable[..., Any]) -> Any:
    """Compile `function` for callers by ``address``; cached on disk like a kernel."""
    signature = normalize_signature(signature)  # type: ignore[no-untyped-call]
    compiled: Any = CFunc(function, signature, {}, _NATIVE.copy(), KernelCompiler)
    compiled._cache = _CACHE(function)  # type: ignore[no-untyped-call]
    compiled.compile()
    return compiled


if TYPE_CHECKING or CHECKED:

    @helper
    def load_u64(data: Bytes, at: Int) -> np.uint64:
        """Read the 8 bytes at `at` as a little-endian unsigned integer; `at` needs no alignment."""
        word = np.uint64(0)
        for i in range(8):
            word |= np.uint64(data[at + i]) << np.uint64(8 * i)
        return word

    @helper
    def load_u32(data: Bytes, at: Int) -> np.uint32:
        """Read the 4 bytes at `at` as a little-endian unsigned integer; `at` needs no alignment."""
        word = np.uint32(0)
        for i in range(4):
            word |= np.uint32(data[at + i]) << np.uint32(8 * i)
        return word

    @helper
    def trailing_zeros(word: np.uint64) -> Int:
        """Count the zero bits below the lowest set bit of `word`, which must not be 0."""
        count = 0
        while (word >> np.uint64(count)) & np.uint64(1) == np.uint64(0):
            count += 1
        return count

    @helper
    def string_marks(data: Bytes, at: Int) -> np.uint64:
        """Bit i: whether byte ``at + i`` is a quotation mark, a backslash or a control character; for 32 bytes."""
        bits = np.uint64(0)
        for i in range(32):
            if data[at + i] == 0x22 or data[at + i] == 0x5C or data[at + i] < 0x20:
                bits |= np.uint64(1) << np.uint64(i)
        return bits

    @helper
    def differing_bits(data: Bytes, at: Int, other: Bytes, other_at: Int) -> np.uint64:
        """Bit i: whether byte ``at + i`` differs from byte ``other_at + i`` of `other`; for 32 bytes."""
        bits = np.uint64(0)
        for i in range(32):
            if data[at + i] != other[other_at + i]:
                bits |= np.uint64(1) << np.uint64(i)
        return bits

    @helper
    def double_of_bits(word: np.uint64) -> float:
        """Read the bits of `word` as an IEEE 754 double."""
        return np.full(1, word).view(np.float64)[0]

else:
    _BYTES_32: Final = ir.VectorType(ir.IntType(8), 32)

    def _load(kind: Any, context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
        data = cgutils.create_struct_proxy(array_type)(context, builder, value=array).data
        return builder.load(builder.bitcast(builder.gep(data, [at]), kind.as_pointer()), align=1)

    def _loader(bits: int, result: Any) -> Any:
        def load(typing_context: Any, data: Any, at: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                return _load(ir.IntType(bits), context, builder, signature.args[0], *arguments)

            return result(data, types.intp), generate

        return intrinsic(load)

    def _as_bits(builder: Any, flags: Any) -> Any:
        return builder.zext(builder.bitcast(flags, ir.IntType(32)), ir.IntType(64))

    @intrinsic
    def string_marks(typing_context, data, at):
        def generate(context, builder, signature, arguments):
            loaded = _load(_BYTES_32, context, builder, signature.args[0], *arguments)
            marks = ir.Constant(ir.VectorType(ir.IntType(1), 32), None)
            for comparison, byte in (("==", 0x22), ("==", 0x5C), ("<", 0x20)):
                found = builder.icmp_unsigned(comparison, loaded, ir.Constant(_BYTES_32, [byte] * 32))
                marks = builder.or_(marks, found)
            return _as_bits(builder, marks)

        return types.uint64(data, types.intp), generate

    @intrinsic
    def differing_bits(typing_context, data, at, other, other_at):
        def generate(context, builder, signature, arguments):
            left = _load(_BYTES_32, context, builder, signature.args[0], *arguments[:2])
            right = _load(_BYTES_32, context, builder, signature.args[2], *arguments[2:])
            return _as_bits(builder, builder.icmp_unsigned("!=", left, right))

        return types.uint64(data, types.intp, other, types.intp), generate

    load_u64 = _loader(64, types.uint64)
    load_u32 = _loader(32, types.uint32)

    @intrinsic
    def trailing_zeros(typing_context, word):
        def generate(context, builder, signature, arguments):
            return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

        return types.int64(types.uint64), generate

    @intrinsic
    def double_of_bits(typing_context, word):
        def generate(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], ir.DoubleType())

        return types.float64(types.uint64), generate


@helper
def load_i32(data: Bytes, at: Int) -> Int:
    """Read the 4 bytes at `at` as a little-endian signed integer."""
    return np.int64(np.int32(load_u32(data, at)))


@helper
def load_i64(data: Bytes, at: Int) -> Int:
    """Read the 8 bytes at `at` as a little-endian signed integer."""
    return np.int64(load_u64(data, at))
