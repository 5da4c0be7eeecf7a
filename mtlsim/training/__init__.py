"""Gradient steps: one engine for networks, weighting schemes, alignment matrices and architectures.

## ReLU tasks and classification

```python
import jax

from mtlsim import ClassificationTasks, Population, ReluTasks, Training, Transfer

tasks = ReluTasks(n_features=10, n_samples=(300, 60), cosine=0.9, noise=0.5)  # y = relu(X theta) + noise
print(Transfer(tasks)(key=jax.random.key(0)))                         # one ReLU unit on both sides, fitted to rows
print(Population(tasks)(key=jax.random.key(0)).risk_multi)            # what sharing costs with endless rows, exactly
labels = ClassificationTasks(n_features=10, n_samples=(300, 60), cosine=0.9, flip=0.1)  # sign(X theta), a tenth turned round
print(Transfer(labels)(key=jax.random.key(0)))                        # cross-entropy; risk = share of wrong decisions
early = Transfer(tasks, rank=4, training=Training("adam", n_steps=200, start_size=0.1))  # how training decides, as knobs
```

All other doors are the same: `mtl.sweep`, `mtl.measure`, maps, statements, and `family = "relu"` or `"classification"` in
the `[tasks]` of a TOML file. `ClassificationTasks(activation="relu")` are classes of a ReLU unit, learned by one. With Gaussian
rows the best shared unit of two tasks and every risk are known in closed form or on one curve, with a proven bound; losses,
best heads and gradients are exact for any number of units and tasks (`TrainingCurve` descends them beside those of rows).

Fits to rows have many local minima, and no proof: `Training` says how they are searched.
How well, and how fast: `tests/benchmarks/README.md`.
"""
