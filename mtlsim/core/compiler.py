"""Options under which XLA compiles: those that keep NaN, and those that compile quickly."""

import functools
from collections.abc import Callable

import jax

KEEPS_NAN = {"xla_cpu_experimental_ynn_fusion_type": ""}  # no fusions of a library whose maximum of NaN and 0 is 0
QUICKLY = {  # a fifth less to compile and run than level 3 alone
    "xla_backend_optimization_level": 2,  # not 1, at which the compiler of jaxlib 0.8.3 crashes on some paddings
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,  # which later releases do not know
}


@functools.cache
def _known(option: str, value) -> bool:
    """Whether this release of jaxlib has the option, which an empty program tells."""
    try:
        with jax.default_device(jax.devices("cpu")[0]):
            jax.jit(lambda: 0, compiler_options={option: value}).lower().compile()
    except Exception:  # of another type in every release
        return False
    return True


def compile_with_nan(function: Callable, quickly: bool = False, platform: str | None = None) -> Callable:
    """jit of a whole program that keeps NaN. From jax 0.11.2 on, fused programs of a CPU take the maximum of NaN and a number for
    the number, and a unit or a gap that has no value for zero.

    quickly: for programs that run for less time than they compile, and mostly in LAPACK: without the passes that make them fast.
    platform: of the devices that will run it, where these are not the first of jax.
    """
    if (platform or jax.default_backend()) != "cpu":
        return jax.jit(function)
    options = KEEPS_NAN | (QUICKLY if quickly else {})
    return jax.jit(function, compiler_options={name: value for name, value in options.items() if _known(name, value)} or None)
