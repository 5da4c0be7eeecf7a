"""Two groups of one task: what learning together does to the many, to the few, and to the gap between them.

That many tasks learned together trade errors for gaps between groups is the question of [wang2021understanding]; what is measured
here is our own and exact.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from mtlsim.core.arc_cosine import angle_between
from mtlsim.core.audit import decision_rates
from mtlsim.core.checks import as_numbers, is_concrete, require, require_all, require_one
from mtlsim.core.keys import check_key, stream
from mtlsim.core.status import Status, flag, worst
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.expected_risk import is_near
from mtlsim.solvers.objective import check_per_task, check_weights, per_task
from mtlsim.solvers.pooled import solve_pooled
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.recipe import Recipe

GROUPS = ("majority", "minority")


class Groups(eqx.Module):
    """A cell: the last two tasks are two groups of rows of one target, with covariances of their own and the same parameters.

    Rows of the target are a mixture of N(0, Sigma_majority) and N(0, Sigma_minority). Alone, least squares see the rows of both
    groups; together, those of all sources too (pooled, |X theta - y|^2 weighted by task). Group g has the risk
    |estimate - theta|^2 in Sigma_g, and as a decision by the sign of x'estimate the error omega_g / pi (`mtlsim.core.audit`).

    tasks: `LinearTasks` of two or more, the last two with one parameter vector (cosine 1 for both, or `parameters`). share: of the
    majority in the population; its share of the rows if left out. weights: per task as in `mtlsim.solve`; 0 leaves a task out,
    a group too. threshold: above which x'estimate is decided positive, in labels' units and the same on both sides. flip: share
    of the labels that the audit has turned round.

    Returns risk_single, risk_multi, error_single, error_multi: population means; the same with _majority and _minority; gap_single,
    gap_multi: |difference of the groups' false positive rates|, gap_positive_* of their true positive rates; gain = risk_single -
    risk_multi, gain_majority, gain_minority, gain_error, and gap_closed = gap_single - gap_multi: positive helps; and a status.
    """

    tasks: Recipe
    share: Array | float | None = None
    weights: tuple | Array | None = None
    threshold: Array | float = 0.0
    flip: Array | float = 0.0

    def __check_init__(self):
        tasks = self.tasks
        require(isinstance(tasks, LinearTasks), "tasks", "LinearTasks", f"{type(tasks).__name__}", "use LinearTasks")
        require(tasks.n_tasks >= 2, "tasks", "two groups, after any sources", f"{tasks.n_tasks} task", "add the other group")
        require(not tasks.shared_covariates, "tasks", "with rows of their own", "on shared rows", "use shared_covariates=False")
        same = "two last tasks with the same parameters"
        if tasks.parameters is not None and is_concrete(tasks.parameters):
            given = np.asarray(tasks.parameters)
            require(np.array_equal(given[-1], given[-2]), "tasks", same, "two that differ", "repeat the last row of parameters")
        elif tasks.parameters is None:
            require_one(tasks.cosine[-1], lambda c: c == 1, "tasks' last cosine", f"1: {same}", "use 1.0")
            norms = tasks.parameter_norm[-2:]
            if all(is_concrete(norm) for norm in norms):
                require(float(norms[0]) == float(norms[1]), "tasks' parameter_norm", same, norms, "repeat the last one")
        if self.share is not None:
            require_one(self.share, lambda s: (s >= 0) & (s <= 1), "share", "from 0 to 1", "use 0.8")
        require_one(self.threshold, np.isfinite, "threshold", "a number", "use 0.0")
        require_one(self.flip, lambda p: (p >= 0) & (p < 0.5), "flip", "a share of labels from 0 to 1/2", "use 0 for none")
        require_all(self.weights, lambda w: (w >= 0) & np.isfinite(w), "weights", "numbers >= 0", "use 0 to leave a task out")
        if self.weights is not None and all(is_concrete(w) for w in jax.tree.leaves(self.weights)):
            weights = as_numbers(self.weights, "weights")
            check_per_task(weights, tasks.n_tasks, "weights")
            seen = weights.ndim == 0 or weights[-2:].any()
            require(bool(seen), "weights", "positive for one of the two groups", weights, "use 1 for both")
        check_weights(self.weights)

    def _audit(self, tasks, estimate: Float[Array, " d"]) -> dict[str, Float[Array, " 2"]]:
        """Risk, error and rates of both groups."""
        found = []
        for group in (-2, -1):
            seen = tasks.covariances[group].root_transpose(estimate)
            angle = angle_between(seen, tasks.covariances[group].root_transpose(tasks.parameters[group]))
            spread = jnp.linalg.norm(seen)
            # without any spread all scores are zero, which is not above zero
            side = jnp.where(jnp.asarray(self.threshold) >= 0, jnp.inf, -jnp.inf)
            height = jnp.where(spread > 0, self.threshold / jnp.where(spread > 0, spread, 1), side)
            found.append(decision_rates(angle, height, self.flip) | {"risk": tasks.excess_risk(estimate, group)})
        return {name: jnp.stack([one[name] for one in found]) for name in found[0]}

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        key = check_key(key)
        tasks = self.tasks.draw(key=key)
        moments = draw_moments(tasks, key=stream(key, "samples"))
        weights = per_task(self.weights, 1.0, tasks.n_tasks, "weights", moments.gram.dtype)
        groups = jnp.arange(tasks.n_tasks) >= tasks.n_tasks - 2
        rows = tasks.n_samples[-2] / jnp.sum(tasks.n_samples[-2:])
        share = rows if self.share is None else jnp.asarray(self.share, rows.dtype)
        found, ridge = {}, jnp.zeros_like(weights)
        for side, used in (("single", jnp.where(groups, weights, 0)), ("multi", weights)):
            audit = self._audit(tasks, solve_pooled(moments, used, ridge))
            for name in ("risk", "error"):
                found[f"{name}_{side}"] = share * audit[name][0] + (1 - share) * audit[name][1]
                found |= {f"{name}_{side}_{group}": audit[name][i] for i, group in enumerate(GROUPS)}
            found[f"gap_{side}"] = jnp.abs(audit["false_positive"][0] - audit["false_positive"][1])
            found[f"gap_positive_{side}"] = jnp.abs(audit["false_negative"][0] - audit["false_negative"][1])
        gains = {"gain": "risk{}", "gain_error": "error{}", "gap_closed": "gap{}"}
        gains |= {f"gain_{group}": f"risk{{}}_{group}" for group in GROUPS}
        found |= {gain: found[of.format("_single")] - found[of.format("_multi")] for gain, of in gains.items()}
        heavy = self._near_interpolation(tasks, groups & (weights > 0)) | self._near_interpolation(tasks, weights > 0)
        return found | {"status": worst(tasks.status, flag(heavy, Status.heavy_tailed))}

    def _near_interpolation(self, tasks, used: Bool[Array, " K"]) -> Bool[Array, ""]:
        """Whether the rows of these tasks are so near to the features that a group's risk has no finite variance.

        Of a group on some features alone, the rows that vary along any of them are counted against these.
        """
        rows = jnp.where(used, tasks.n_samples, 0)
        near = is_near(jnp.sum(rows), tasks.n_features, 0.0)
        if not any(covariance.singular for covariance in tasks.covariances):
            return near
        matrices = jnp.stack([covariance.matrix() for covariance in tasks.covariances])
        for group in (-2, -1):
            values, vectors = jnp.linalg.eigh(matrices[group])
            support = vectors * (values > 1e-9 * values[-1])
            along = jnp.einsum("di,kde,ei->k", support, matrices, support, precision="highest")
            meets = along > 1e-9 * jnp.trace(matrices, axis1=1, axis2=2)
            near = near | is_near(jnp.sum(jnp.where(meets, rows, 0)), jnp.sum(values > 1e-9 * values[-1]), 0.0)
        return near
