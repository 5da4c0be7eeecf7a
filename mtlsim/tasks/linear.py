"""Linear tasks: labels are the score of a row and noise."""

from mtlsim.tasks.recipe import Recipe


class LinearTasks(Recipe):
    """Recipe of K linear tasks, sources first, target last. A key draws concrete `Tasks` from it.

    The target's parameters point in a uniformly random direction; each source's have the given cosine with them and are
    otherwise independent. All rows have covariance `design`, which a source sees through `relation`.

    n_features: d. n_samples: rows per task, as many entries as tasks (K). cosine: Euclidean cosine between the target's
    parameters and a source's, one number or K - 1 (0.8 if left out), or in its place angle, the same in degrees. alignment:
    covariance similarity of a source with the target, normalised to 1 = same, one number or K - 1, used by the relations
    "geodesic" and "coordinates". noise: standard deviation of the label noise, one number or K. parameter_norm: |theta_i|, one
    number or K. design: Isotropic, Spiked, PowerLaw, Diagonal, FromMatrix, Rotated or from_data(X); or one of them per task, with
    the relation and the alignment left out. relation: see `mtlsim.tasks.relations.RELATIONS`, "geodesic" if left out. order:
    "rdq" draws rotated rows as R D Q'; "rqd" is the order printed in the founding paper, R Q D, where Q cancels in law because R
    Q is again Gaussian, so that "rotated" equals "same". rows: law of the entries before colouring, "gaussian", "rademacher",
    "student", "sphere", or your own, "my_rows.py:law" (see `mtlsim.tasks.rows`). parameters: (K, d) to use instead of drawing
    them. shared_covariates: all tasks are labels on the same rows; then K noises and parameters but one n_samples.

    Raises ValueError for values outside their domain. Source: [wu2020understanding], Section 2.3.

    >>> recipe = mtl.LinearTasks(n_features=5, n_samples=(50, 20), cosine=0.9, noise=(1.0, 0.5))
    >>> tasks = recipe.draw(key=jax.random.key(0))  # the target last
    >>> round(float(mtl.cosine_similarity(*tasks.parameters)), 6)
    0.9
    """

    __init__ = Recipe.__init__  # else type checkers take the fields for it
