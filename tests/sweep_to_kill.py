"""A sweep of many small chunks, run by test_store.py in a process that it kills. Usage: sweep_to_kill.py PATH [keep]"""

import shutil
import sys
from pathlib import Path

import jax

import mtlsim as mtl
from mtlsim.sweeps import store

path = Path(sys.argv[1])
if "keep" in sys.argv:  # keep the chunks beside the result, so that the test can see which were computed again
    store.Parts.remove = lambda self: shutil.copytree(self.folder, path.with_name("kept"), copy_function=shutil.copy2)
cell = mtl.Transfer(mtl.LinearTasks(n_features=5, n_samples=(30, 15)))
mtl.sweep(cell, {"tasks.n_samples[0]": list(range(5, 105))}, 8, jax.random.key(1), path, chunk_draws=8)
