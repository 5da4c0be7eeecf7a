"""A matrix of its own in front of the shared module for each task, so that the module sees covariances that are alike.

```python
import jax

from mtlsim import Alignment, AlignmentTraining, LinearTasks

tasks = LinearTasks(n_features=10, n_samples=(200, 40), alignment=0.6, cosine=0.3)
print(Alignment(tasks)(key=jax.random.key(0)))                         # a matrix for each task, by Algorithm 1
print(Alignment(tasks, method="coral")(key=jax.random.key(0)))         # whitened and recoloured, in closed form
early = Alignment(tasks, mode="transfer", training=AlignmentTraining(n_steps=50, constraint="orthogonal", strength=0.1))
batches = Alignment(tasks, training=AlignmentTraining(batch=16), capacity=200)  # the paper's form: rows are drawn, with room for 200
```

The gain from alignment is the target's risk without minus with: positive helps. `score_before` and `score_after` are the
similarity scores of the rows drawn. What it earns on hundreds of random pairs stands in `notebooks/README.md`.
"""  # noqa: E501
