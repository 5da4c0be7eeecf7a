"""A sweep of many small chunks, which test_store.py runs in a process that it kills. Usage: sweep_to_kill.py PATH"""

import sys
from pathlib import Path

import jax
from noisy import Noisy

import mtlsim as mtl


def sweep(path):
    return mtl.sweep(Noisy(), {"drift": list(range(400))}, 8, jax.random.key(1), path, chunk_draws=8, progress=False)


if __name__ == "__main__":
    sweep(Path(sys.argv[1]))
