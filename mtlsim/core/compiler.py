"""Options under which XLA compiles: those that keep NaN, and those that spend less on compiling."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

KEEPS_NAN = {"xla_cpu_experimental_ynn_fusion_type": ""}  # no fusions of a library whose maximum of NaN and 0 is 0
FULLY: dict[str, Any] = {}
QUICKLY = {  # programs that run for less time than they compile, and mostly in LAPACK: a fifth less of both than level 3 alone
    "xla_backend_optimization_level": 2,  # not 1, at which the compiler of jaxlib 0.8.3 crashes on some paddings
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,  # which later releases do not know
}
HASTILY = QUICKLY | {"xla_backend_optimization_level": 0}  # those that run for a moment: a third to compile, thrice as long to run
IN_ONE_PART = {"xla_cpu_parallel_codegen_split_count": 1}  # less to do in all, where other programs compile beside on other cores


@functools.cache
def _known(option: str, value) -> bool:
    """Whether this release of jaxlib has the option, which an empty program tells."""
    try:
        with jax.default_device(jax.devices("cpu")[0]):
            jax.jit(lambda: 0, compiler_options={option: value}).lower().compile()
    except Exception:  # of another type in every release
        return False
    return True


def compile_with_nan(function: Callable, options: Mapping[str, Any] = FULLY, platform: str | None = None) -> Callable:
    """jit of a whole program that keeps NaN. From jax 0.11.2 on, fused programs of a CPU take the maximum of NaN and a number for
    the number, and a unit or a gap that has no value for zero.

    options: `FULLY`, `QUICKLY` or `HASTILY`, and `IN_ONE_PART`; what this release does not know is left out, and off a CPU all of
    it. platform: of the devices that will run it, where these are not the first of jax.
    """
    if (platform or jax.default_backend()) != "cpu":
        return jax.jit(function)
    options = {name: value for name, value in (KEEPS_NAN | options).items() if _known(name, value)}
    return jax.jit(function, compiler_options=options or None)


def jit_hastily(function: Callable) -> Callable:
    """jit of what runs for a moment, where an instance is drawn, say; of traced arguments the function as it is."""
    compiled = functools.cache(lambda: compile_with_nan(function, HASTILY | IN_ONE_PART))

    @functools.wraps(function)
    def call(*arguments):
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arguments))
        if traced:
            return function(*arguments)
        with jax.ensure_compile_time_eval():  # of numbers also where another program is traced, which has options of its own
            return compiled()(*arguments)

    return call
