"""Groups of one task: what learning together does to the many, to the few, and to the gap between them.

That many tasks learned together trade errors for gaps between groups is the question of [wang2021understanding]; what is measured
here is our own and exact.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from mtlsim.cells.tails import CLEAR, rounding_of_pooled
from mtlsim.core.arc_cosine import angle_between
from mtlsim.core.audit import decision_rates
from mtlsim.core.checks import as_numbers, is_concrete, is_number_to_be, is_whole, require, require_all, require_one
from mtlsim.core.extremes import largest_of, smallest_of
from mtlsim.core.keys import check_key, stream
from mtlsim.core.status import Status, flag, with_status
from mtlsim.core.words import counted
from mtlsim.samples.wishart import draw_moments
from mtlsim.solvers.expected_risk import is_near
from mtlsim.solvers.objective import check_per_task, check_weights, per_task
from mtlsim.solvers.pooled import solve_pooled
from mtlsim.tasks.linear import LinearTasks
from mtlsim.tasks.recipe import Recipe

GROUPS = ("majority", "minority")
PER_GROUP = ("risk", "error", "false_positive", "false_negative")


class Groups(eqx.Module):
    """A cell: the last tasks are groups of rows of one target, two or more, with covariances of their own and the same parameters.

    Rows of the target are a mixture of the N(0, Sigma_g). Alone, least squares see the rows of all groups; together, those of all
    sources too (pooled, |X theta - y|^2 weighted by task). Group g has the risk |estimate - theta|^2 in Sigma_g, and as a
    decision by the sign of x'estimate the error omega_g / pi (`mtlsim.core.audit`).

    tasks: `LinearTasks`, the last n_groups of them with one parameter vector (cosine 1 for all, or `parameters`). The first group
    is called the majority, the last one the minority. share: of the majority of two groups in the population, or one number per
    group, in proportion; those of the rows if left out. weights: per task as in `mtlsim.solve`; 0 leaves a task out, a group
    too: that is how one without rows is audited, with a `share` of its own. threshold: above which x'estimate is decided
    positive, in labels' units and the same on both sides. flip: share of the labels that the audit has turned round.

    Returns risk_single, risk_multi, error_single, error_multi: population means; the same with _majority and _minority, and with
    _by_group (G,), as are false_positive_* and false_negative_*; gap_single, gap_multi: the largest less the smallest false
    positive rate of a group, gap_positive_* of the true positive rates; gain = risk_single - risk_multi, gain_majority,
    gain_minority, gain_by_group, gain_error, and gap_closed = gap_single - gap_multi: positive helps, and zero where
    rounding of both risks may have made them; and a status.
    """

    tasks: Recipe
    share: tuple | Array | float | None = None
    weights: tuple | Array | None = None
    threshold: Array | float = 0.0
    flip: Array | float = 0.0
    n_groups: int = eqx.field(default=2, static=True)

    def __check_init__(self):
        tasks, G = self.tasks, self.n_groups
        require(isinstance(tasks, LinearTasks), "tasks", "LinearTasks", f"{type(tasks).__name__}", "use LinearTasks")
        require(is_whole(G) and G >= 2, "n_groups", "a whole number >= 2", repr(G), "use 2")
        few, cure = counted(tasks.n_tasks, "task"), "add the other groups"
        require(tasks.n_tasks >= G, "tasks", f"{G} groups, after any sources", few, cure)
        require(not tasks.shared_covariates, "tasks", "with rows of their own", "on shared rows", "use shared_covariates=False")
        same = f"{'two' if G == 2 else G} last tasks with the same parameters"
        if tasks.parameters is not None and is_concrete(tasks.parameters):
            given = np.asarray(tasks.parameters)[-G:]
            require((given == given[-1]).all(), "tasks", same, "some that differ", "repeat the last row of parameters")
        elif tasks.parameters is None:
            for cosine in tasks.cosine[1 - G :]:
                require_one(cosine, lambda c: c == 1, "tasks' last cosine", f"1: {same}", "use 1.0")
            norms = tasks.parameter_norm[-G:]
            if all(is_concrete(norm) for norm in norms):
                require(len({float(norm) for norm in norms}) == 1, "tasks' parameter_norm", same, norms, "repeat the last one")
        self._check_share()
        require_one(self.threshold, np.isfinite, "threshold", "a number", "use 0.0")
        require_one(self.flip, lambda p: (p >= 0) & (p < 0.5), "flip", "a share of labels from 0 to 1/2", "use 0 for none")
        require_all(self.weights, lambda w: (w >= 0) & np.isfinite(w), "weights", "numbers >= 0", "use 0 to leave a task out")
        if self.weights is not None and all(is_concrete(w) for w in jax.tree.leaves(self.weights)):
            weights = as_numbers(self.weights, "weights")
            check_per_task(weights, tasks.n_tasks, "weights")
            seen = weights.ndim == 0 or weights[-G:].any()
            require(bool(seen), "weights", "positive for one of the groups", weights, "use 1 for all")
        check_weights(self.weights)

    def _check_share(self):
        G = self.n_groups
        if self.share is None or any(is_number_to_be(one) and not is_concrete(one) for one in jax.tree.leaves(self.share)):
            return
        share = as_numbers(self.share, "share")
        shape, cure = f"one number per group, {G}{', or that of the majority' * (G == 2)}", "give every group its share"
        require(share.shape == (G,) or (share.ndim == 0 and G == 2), "share", shape, self.share, cure)
        if share.ndim == 0:
            require(bool(0 <= share <= 1), "share", "from 0 to 1", share, "use 0.8")
        else:
            sound = bool((share >= 0).all() and np.isfinite(share).all() and share.any())
            require(sound, "share", "numbers >= 0, not all zero", share, "use 1 for groups of one size")

    @property
    def dimensions(self) -> dict[str, tuple[str]]:
        names = [f"{name}_{side}_by_group" for name in PER_GROUP for side in ("single", "multi")]
        return dict.fromkeys([*names, "gain_by_group"], ("group",))

    @property
    def is_group(self) -> np.ndarray:
        """Which tasks are groups of the target, (K,)."""
        return np.arange(self.tasks.n_tasks) >= self.tasks.n_tasks - self.n_groups

    def shares(self, rows: Float[Array, " G"]) -> Float[Array, " G"]:
        """Of the groups in the population, by their rows where nothing is given."""
        share = rows if self.share is None else jnp.asarray(self.share, rows.dtype)
        share = jnp.stack([share, 1 - share]) if share.ndim == 0 else share
        return share / jnp.sum(share)

    def _audit(self, tasks, estimate: Float[Array, " d"]) -> dict[str, Float[Array, " G"]]:
        """Risk, error and rates of all groups."""
        angles, heights, risks = [], [], []
        for group in range(-self.n_groups, 0):
            seen = tasks.covariances[group].root_transpose(estimate)
            angles.append(angle_between(seen, tasks.covariances[group].root_transpose(tasks.parameters[group])))
            spread = jnp.linalg.norm(seen)
            # without any spread all scores are zero, which is not above zero
            side = jnp.where(jnp.asarray(self.threshold) >= 0, jnp.inf, -jnp.inf)
            heights.append(jnp.where(spread > 0, self.threshold / jnp.where(spread > 0, spread, 1), side))
            risks.append(tasks.excess_risk(estimate, group))
        rates = jax.lax.map(lambda at: decision_rates(*at, self.flip), (jnp.stack(angles), jnp.stack(heights)))
        return rates | {"risk": jnp.stack(risks)}

    def __call__(self, *, key: Key[Array, ""] | None = None) -> dict[str, Array]:
        key = check_key(key)
        tasks = self.tasks.draw(key=key)
        moments = draw_moments(tasks, key=stream(key, "samples"))
        weights = per_task(self.weights, 1.0, tasks.n_tasks, "weights", moments.gram.dtype)
        groups = jnp.asarray(self.is_group)
        share = self.shares(tasks.n_samples[-self.n_groups :])
        sides = jnp.stack([jnp.where(groups, weights, 0), weights])
        # mapped, for one compile
        audits = jax.lax.map(lambda used: self._audit(tasks, solve_pooled(moments, used, jnp.zeros_like(weights))), sides)
        found = {}
        for i, side in enumerate(("single", "multi")):
            audit = {name: values[i] for name, values in audits.items()}
            found |= {f"{name}_{side}_by_group": audit[name] for name in PER_GROUP}
            for name in ("risk", "error"):
                found[f"{name}_{side}"] = jnp.sum(share * audit[name])
                found |= {f"{name}_{side}_{group}": audit[name][g] for group, g in zip(GROUPS, (0, -1), strict=True)}
            for gap, rate in (("gap", "false_positive"), ("gap_positive", "false_negative")):
                found[f"{gap}_{side}"] = largest_of(audit[rate]) - smallest_of(audit[rate])
        differ = self._differ(tasks, sides, audits["risk"])
        of_groups = dict(zip(GROUPS, (differ[0], differ[-1]), strict=True)) | {"by_group": differ}
        gains = {"gain": ("risk{}", differ.any()), "gain_error": ("error{}", differ.any()), "gap_closed": ("gap{}", differ.any())}
        gains |= {f"gain_{group}": (f"risk{{}}_{group}", one) for group, one in of_groups.items()}
        for gain, (of, is_one) in gains.items():
            found[gain] = jnp.where(is_one, found[of.format("_single")] - found[of.format("_multi")], 0)
        heavy = self._near_interpolation(tasks, groups & (weights > 0)) | self._near_interpolation(tasks, weights > 0)
        return with_status(found, tasks.status, flag(heavy, Status.heavy_tailed))

    def _differ(self, tasks, sides: Float[Array, "2 K"], risks: Float[Array, "2 G"]) -> Bool[Array, " G"]:
        """Whether the risks of each group differ by more than rounding may have made; what is no number differs."""
        rounding = rounding_of_pooled(tasks, sides[0]) + rounding_of_pooled(tasks, sides[1])
        return ~(jnp.abs(risks[0] - risks[1]) <= CLEAR * rounding[-self.n_groups :])

    def _near_interpolation(self, tasks, used: Bool[Array, " K"]) -> Bool[Array, ""]:
        """Whether the rows of these tasks are so near to the features that a group's risk has no finite variance.

        Of a group on some features alone, the rows that vary along any of them are counted against these.
        """
        rows = jnp.where(used, tasks.n_samples, 0)
        near = is_near(jnp.sum(rows), tasks.n_features, 0.0)
        if not any(covariance.singular for covariance in tasks.covariances):
            return near
        matrices = jnp.stack([covariance.matrix() for covariance in tasks.covariances])
        for group in range(-self.n_groups, 0):
            values, vectors = jnp.linalg.eigh(matrices[group])
            support = vectors * (values > 1e-9 * values[-1])
            along = jnp.einsum("di,kde,ei->k", support, matrices, support, precision="highest")
            meets = along > 1e-9 * jnp.trace(matrices, axis1=1, axis2=2)
            near = near | is_near(jnp.sum(jnp.where(meets, rows, 0)), jnp.sum(values > 1e-9 * values[-1]), 0.0)
        return near
