"""Compilers that optimise and translate each kernel once, as a whole.

By default Numba optimises every function and translates it to machine code, and then does both again in each function
that calls it. Only kernels are called from Python, so the functions that they call remain in LLVM's intermediate
language until a kernel links them.
"""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import Any, Final

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager
from numba.core.typed_passes import (
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.types.functions import BaseFunction
from numba.core.untyped_passes import FixupArgs, IRProcessing, ReconstructSSA, TranslateByteCode

_PASSES: Final = (
    TranslateByteCode,
    FixupArgs,
    IRProcessing,
    ReconstructSSA,
    NopythonTypeInference,
    PreLowerStripPhis,
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
)
"""Those of Numba that scalars and arrays need: kernels have no closures, array expressions and Python objects."""

_call_type: Final[Any] = BaseFunction.get_call_type
_call_types: Final[dict[Any, Any]] = {}


def _known_call_type(function: Any, context: Any, args: Any, kws: Any) -> Any:
    """The signature of an operation for these types, for which Numba searches again at each place in the code."""
    key = function, args, tuple(kws.items())
    if key not in _call_types:
        _call_types[key] = _call_type(function, context, args, kws)
    return _call_types[key]


BaseFunction.get_call_type = _known_call_type  # type: ignore[assignment]


class _NoMachineCode:
    """The code generator of a `_Part`, which has no machine code to connect with an environment."""

    def set_env(self, name: str, environment: object) -> None:
        """Do nothing."""


class _Part(JITCodeLibrary):
    """The code of a function that only kernels call."""

    codegen: Final = _NoMachineCode()

    def _optimize_functions(self, module: object) -> None:
        """Do nothing: the kernel is optimised as a whole."""

    def finalize(self) -> None:
        """Link and optimise nothing."""
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """0: no such function."""
        return 0


class _Whole(JITCodeLibrary):
    """The code of a kernel and of all functions that it calls, directly or not."""

    _optimize_functions = _Part._optimize_functions

    def finalize(self) -> None:
        """Link, optimise and translate the code."""
        called: dict[Any, list[Any]] = {}
        found = list(self._linking_libraries)
        while found:
            library = found.pop()
            if library not in called:
                called[library] = library._linking_libraries if isinstance(library, _Part) else []  # these are linked
                found += called[library]
        # Callers first: LLVM links only functions that are already called.
        self._linking_libraries = list(TopologicalSorter(called).static_order())[::-1]
        super().finalize()  # type: ignore[no-untyped-call]

    def serialize_using_object_code(self) -> tuple[str, str, tuple[bytes, bytes]]:
        """The code for the cache, where the names of functions take the place of their intermediate language.

        So no kernel may call a kernel: it would link empty functions.
        """
        name, kind, (machine_code, _) = super().serialize_using_object_code()  # type: ignore[no-untyped-call]
        names = ir.Module(name)
        for function in self.get_defined_functions():  # type: ignore[no-untyped-call]
            named = ir.Function(names, ir.FunctionType(ir.VoidType(), []), function.name)
            ir.IRBuilder(named.append_basic_block()).ret_void()
        return name, kind, (machine_code, llvm.parse_assembly(str(names)).as_bitcode())

    def _optimize_final_module(self) -> None:
        # Inlining everything first gives faster code than inlining while optimising, and takes less time after
        # variables are in registers. Numba's own first steps are for reference counting, which kernels do not have.
        generator: Any = self._codegen
        inlining = llvm.create_new_module_pass_manager()
        inlining.add_sroa_pass()
        inlining.add_always_inliner_pass()
        inlining.run(self._final_module, generator._pass_builder(opt=0))
        optimising, builder = generator._module_pass_manager()
        optimising.run(self._final_module, builder)


def _index_as_given(builder: object, index: Any, size: object) -> Any:
    """In place of Numba's function, which lets negative indices count from the end: no kernel has them."""
    return index


class PartCompiler(Compiler):
    """Compiles functions that only kernels call."""

    _library: Any = _Part

    def define_pipelines(self) -> list[PassManager]:
        """The passes that kernels need."""
        passes: Any = PassManager("kernel")  # type: ignore[no-untyped-call]
        for step in _PASSES:
            passes.add_pass(step, step.__name__)
        passes.finalize()
        return [passes]

    def _compile_core(self) -> Any:
        from numba.cpython import slicing  # only to compile: the import takes long

        self.state.library = self._library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        self.state.library.enable_object_caching()
        before: Any = slicing.fix_index
        slicing.fix_index = _index_as_given
        try:
            return super()._compile_core()  # type: ignore[no-untyped-call]
        finally:
            slicing.fix_index = before  # other code may count from the end


class KernelCompiler(PartCompiler):
    """Compiles functions that Python calls, or a kernel by their address."""

    _library = _Whole
