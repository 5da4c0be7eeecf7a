"""The practitioner's door: rows and labels in frames, arrays and files; which of them should be learned together.

```python
import numpy as np

import mtlsim as mtl

rng = np.random.default_rng(0)
one, other = rng.normal(size=(2, 20))
tasks = {}
for name, theta in {"first": one, "second": one, "third": one, "stranger": other}.items():
    X = rng.normal(size=(50, 20))
    tasks[name] = X, X @ theta + 3 * rng.normal(size=50)
study = mtl.compare_tasks(tasks)
print(study)                                      # gains with intervals, whom to learn with, the best groups
print(study.best("first"), study.grouping(), study.predict("first", X[:3]))
study.matrix                                      # an xarray.Dataset: every source by every target
```

Every target is learned alone, with every other task, with the best of them and with all, by ridge regressions that the sources
pull: in a layer of their solutions, with their rows at a weight, and towards their mean (`mtlsim/arrays/learners.py` has the
equations). Nothing is picked: strengths of ridges, and then the ways, are mixed by their exact leave-one-out errors, learning
alone among them and mixed alike, and the gain of the mixture is measured on held-out rows, with all choices made by the training
rows. For up to ten tasks the best of all groupings is found by the errors in fitted groups, and not from averages of pairs.
`python tests/benchmarks/study.py` asks, on tasks of known truth, how often the verdicts are right, and what the mixture earns
beside the least leave-one-out error and the best way known afterwards.

`network=True` asks a network of hidden ReLU units the same with the sources that the training rows name, and says whether it agrees
(`mtlsim/arrays/networks.py`); where two answers differ, `study.reasons` says why.

`mtlsim compare` reads .npz files, tables (.csv, .tsv, .parquet) or folders of them, `--out study.nc` keeps the study and `mtlsim
plot study.nc` draws it. Words and several columns of labels become tasks; rows without a label, and rows of a source that are
rows of the target, are left out and counted.

Memory-mapped arrays of any length go through `Moments.from_data` in blocks; pickled `.npy` files are refused.
"""
