"""The same sweep on one and on eight host devices, there in another cut, run by test_watch.py in a process that has 8. Prints
the largest difference of any number from the first, relative to the largest such number."""

from mtlsim.launcher import prepare

prepare(8)

import jax  # noqa: E402
import numpy as np  # noqa: E402

import mtlsim as mtl  # noqa: E402
from mtlsim.core import compiler  # noqa: E402

compiler.QUICKLY["xla_backend_optimization_level"] = 0  # its programs run for a moment

tasks = mtl.LinearTasks(n_features=3, n_samples=(30, 15))
grid = {"tasks.n_samples[0]": [5, 50, 500, 5000], "tasks.noise": [0.5, 1.0, 2.0]}
worst = 0.0
for n_seeds, sharing in ((7, "hard"), (3, "pooled")):  # of which eight devices share the seeds, and the points
    cell = mtl.Transfer(tasks, sharing=sharing)
    one, eight = (
        mtl.sweep(cell, grid, n_seeds, jax.random.key(2), devices=jax.local_devices()[:n], chunk_draws=cut, progress=False)
        for n, cut in ((1, None), (8, 30))
    )
    for name in ("gain", "risk_single", "risk_multi", "status"):
        difference = np.abs(eight[name].values - one[name].values).max() / max(np.abs(one[name].values).max(), 1)
        worst = max(worst, float(difference))
print(len(jax.local_devices()), worst)
