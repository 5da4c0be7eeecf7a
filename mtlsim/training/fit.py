"""`fit`: one verb for data of several tasks and what they share."""

import json
import reprlib
import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from mtlsim.core.checks import is_concrete, is_whole, require, require_choice, require_finite, require_index, require_kind
from mtlsim.core.containers import numbers_of
from mtlsim.core.keys import check_key
from mtlsim.core.linalg import multiply
from mtlsim.core.status import Certificate, Status
from mtlsim.core.words import counted, with_article
from mtlsim.samples.data import Rows
from mtlsim.samples.moments import Moments, stack
from mtlsim.sharing import Answer, Problem, Sharing, as_sharing, as_table
from mtlsim.sharing._sharing import Params
from mtlsim.solvers.objective import check_weights, per_task
from mtlsim.solvers.single import penalised_losses, solve_single
from mtlsim.training.shared import LOSSES, UNITS, losses_of, train_shared
from mtlsim.training.weighted import WeightedTraining
from mtlsim.weighting import Scheme

FORMAT = 1


class Fitted(eqx.Module):
    """What was learned of K tasks, and what is known about it.

    params: in the form that the sharing declares. parameters (K, d), of o outputs (K, o, d): of the tasks, where they are linear
    in x, else None. losses (K,): of the tasks, summed over rows. loss: the objective, gap: by how much at most it is above the
    optimum; certificate, status: see `mtlsim.Certificate` and `mtlsim.Status`. route: how it was found.

    >>> X, y = np.eye(2), np.array([1.0, 2.0])
    >>> found = mtl.fit([(X, y), (X, y)], "pooled")
    >>> np.asarray(found.predict(np.array([[1.0, 1.0]]))).round(6).tolist()
    [3.0]
    """

    sharing: Sharing
    params: Params
    parameters: Float[Array, "K *o d"] | None
    losses: Float[Array, " K"]
    loss: Float[Array, ""]
    gap: Float[Array, ""]
    certificate: Int[Array, ""]
    status: Int[Array, ""]
    route: str = eqx.field(static=True)
    activation: str = eqx.field(default="identity", static=True)

    @property
    def n_tasks(self) -> int:
        return self.losses.shape[0]

    def predict(self, X, task: int = -1) -> Float[Array, "m *o"]:
        """What one task says of rows X (m, d); of o outputs, (m, o).

        Raises ValueError for another number of columns, or a task that is not there.
        """
        X = jnp.asarray(numbers_of(X, "X"), self.losses.dtype)
        require_finite(X, "X")
        require_index(task, self.n_tasks, "task")
        d = self.sharing.n_features(self.params) if self.parameters is None else self.parameters.shape[-1]
        require(X.ndim == 2 and X.shape[1] == d, "X", f"of shape (m, {d})", f"of shape {X.shape}", "pass one row per sample")
        if self.parameters is not None:
            return multiply(X, self.parameters[task].T)
        return self.sharing.outputs(self.params, X, range(self.n_tasks)[task], UNITS[self.activation])

    def save(self, path: Path | str) -> None:
        """Write an .npz file that `Fitted.load` reads; an existing file is not touched. Raises ValueError where it cannot."""
        path = Path(path)
        require(path.suffix == ".npz", "path", "a name that ends in .npz", path, "add that ending")
        require(not path.exists(), "path", "a new file", f"{path}, which is there", "remove it, or choose another name")
        about = {"format": FORMAT, "sharing": as_table(self.sharing), "route": self.route, "activation": self.activation}
        arrays = {f"params/{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(self.params))}
        for name in ("parameters", "losses", "loss", "gap", "certificate", "status"):
            if getattr(self, name) is not None:
                arrays[name] = np.asarray(getattr(self, name))
        part = path.with_name(f".{path.name}.part")
        with open(part, "wb") as file:
            np.savez(file, about=json.dumps(about), **arrays)
        part.rename(path)

    @classmethod
    def load(cls, path: Path | str) -> "Fitted":
        """What `save` wrote. Raises ValueError in one sentence for anything else; pickles are never loaded."""
        cure = "pass a file that Fitted.save has written"
        try:
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            about = json.loads(str(arrays["about"]))
            if about["format"] != FORMAT:
                raise ValueError(f"format {about['format']!r}, where this version reads {FORMAT}")
            sharing = as_sharing(about["sharing"])
            leaves = [jnp.asarray(arrays[f"params/{i}"]) for i in range(sum(name.startswith("params/") for name in arrays))]
            rest = [jnp.asarray(arrays[name]) if name in arrays else None for name in ("parameters", "losses", "loss", "gap")]
            codes = [jnp.asarray(arrays[name]) for name in ("certificate", "status")]
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"path must be a whole file of one fit, but {path} is not ({error}); {cure}.") from None
        params = sharing.rebuild(leaves)
        return cls(sharing, params, *rest, *codes, about["route"], about["activation"])

    def __repr__(self) -> str:
        what = f"Fitted({self.sharing}, {counted(self.n_tasks, 'task')}"
        if not is_concrete(self.loss) or self.loss.ndim:
            return f"{what}, route={self.route!r})"
        certificate, status = Certificate(int(self.certificate)), Status(int(self.status))
        diagnosis = "" if status == Status.ok else f"\n  {status.name}: {status.sentence}"
        return f"{what}, loss={float(self.loss):.6g} - {float(self.gap):.1e}, {certificate.name} by {self.route}){diagnosis}"


def fit(
    tasks: Moments | Rows | Sequence[Any],
    sharing: Sharing | str | Mapping[str, Any] = "hard",
    *,
    rank: int = 1,
    weights=None,
    training: WeightedTraining | None = None,
    scheme: Scheme | None = None,
    activation: str = "identity",
    loss: str = "squared",
    start: Params | None = None,
    key: Key[Array, ""] | None = None,
) -> Fitted:
    """Learn K tasks together: minimise sum_k w_k |f_k(X_k) - y_k|^2 + penalty, over what the sharing declares.

    tasks: `Moments`, stacked or one per task, pairs (X, y), or `Rows`; every task may have rows of its own, the last is the
    target of sharings that have one. Labels y are (m,), or (m, o) of o outputs for `adapters` and `trace-norm`.
    sharing: an architecture of `mtlsim.sharing`, its name, or a table {name, ...}. rank: columns of its shared layers.
    weights: per task, >= 0; None is one each. training: how it is trained; left out, what is known exactly is solved, and the
    rest trained by default. scheme: of weights that change along training. activation: "identity", or "relu" units, which are
    trained on rows. loss: "squared", or "logistic", log(1 + exp(-y f(x))) of labels -1 and 1, which is trained on rows, too.
    start: where training begins, such as the `params` of an earlier fit; left out, where the architecture says.
    key: of starts and batches, jax.random.key(0) if left out.
    Raises ValueError for tasks, sizes and options that do not fit; trouble with the numbers becomes `status`.

    >>> X, y = np.eye(2), np.array([1.0, 2.0])
    >>> found = mtl.fit([(X, y), (X, -y)], "soft")  # each task's own, pulled together
    >>> found.route, np.asarray(found.parameters).round(3).tolist()
    ('soft', [[0.333, 0.667], [-0.333, -0.667]])
    """
    sharing = as_sharing(sharing)
    require(isinstance(sharing, Sharing), "sharing", "an architecture or its name", repr(sharing), "use 'hard'")
    require_choice(activation, UNITS, "activation")
    require_choice(loss, LOSSES, "loss")
    training is None or require_kind(training, WeightedTraining, "training")
    cure = "use mtlsim.weighting.find_scheme('equal')()"
    require(scheme is None or isinstance(scheme, Scheme), "scheme", "a weighting scheme", reprlib.repr(scheme), cure)
    tasks, o = _by_output(tasks, sharing)
    batches = training is not None and training.batch is not None
    given = _as_tasks(tasks, sharing.needs_rows or activation == "relu" or loss == "logistic" or batches)
    n_tasks, d = (given.X[:, 0] if isinstance(given, Rows) else given.cross).shape
    n_tasks //= o
    whole = is_whole(rank) and rank >= 1
    require(whole, "rank", "a whole number >= 1", repr(rank), "use 1 to force sharing")
    require(activation == "relu" or rank <= d, "rank", f"at most n_features = {d}", rank, "use fewer columns")
    require(not sharing.needs_source or n_tasks > 1, "tasks", "two or more for this sharing", "one", "add a source task")
    sharing.check(n_tasks, int(rank))
    dtype = given.y.dtype if isinstance(given, Rows) else given.cross.dtype
    weights = per_task(weights, 1.0, n_tasks, "weights", dtype)
    check_weights(weights)
    key = jax.random.key(0) if key is None else check_key(key)
    solved = isinstance(given, Moments) and activation == "identity" and loss == "squared"
    if solved and training is None and scheme is None and start is None:
        none = jnp.zeros(n_tasks * o, dtype)
        problem = given, int(rank), jnp.repeat(weights, o), none, key, o
        try:
            answer = _solve(sharing, *problem)
        except TypeError:  # one of a user's own that holds words or looks at its numbers; what else it raises, it raises again
            answer = sharing.exact(Problem(*problem))
        if answer is not None:
            losses = penalised_losses(given, answer.parameters, none)
            route = sharing.route(n_tasks, int(rank), given.shared_covariates, d)
            rest = answer.loss, answer.gap, answer.certificate, answer.status, route
            by_task = lambda rows: rows if o == 1 else rows.reshape(n_tasks, o, *rows.shape[1:])
            return Fitted(sharing, answer.params, by_task(answer.parameters), jnp.sum(losses.reshape(n_tasks, o), 1), *rest)
    training = training or WeightedTraining()
    found = train_shared(given, sharing, int(rank), weights, training, key, activation, 1, scheme, start, loss)
    parameters = sharing.linear(found.params) if activation == "identity" and not sharing.needs_rows else None
    least = jnp.zeros((), dtype)
    if isinstance(given, Moments):  # no objective is below what the tasks lose alone
        alone = jnp.stack([solve_single(given[k]) for k in range(n_tasks)])
        least = jnp.sum(weights * penalised_losses(given, alone, jnp.zeros(n_tasks, dtype)))
    none = jnp.full((), int(Certificate.none), jnp.int32)
    losses = losses_of(given, sharing, found.params, activation, loss)
    rest = found.loss, jnp.maximum(found.loss - least, 0), none, found.status, training.optimiser, activation
    return Fitted(sharing, found.params, parameters, losses, *rest)


@partial(jax.jit, static_argnames=("rank", "n_outputs"))
def _solve(sharing: Sharing, moments: Moments, rank: int, weights, ridge, key, n_outputs: int) -> Answer | None:
    return sharing.exact(Problem(moments, rank, weights, ridge, key, n_outputs))


def _by_output(tasks: Any, sharing: Sharing) -> tuple[Any, int]:
    """Moments of every output of every task, and how many outputs they have; tasks of one output as they are."""
    pairs = isinstance(tasks, Sequence) and all(isinstance(one, (tuple, list)) and len(one) == 2 for one in tasks)
    counts = [1 if len(shape) < 2 else shape[1] for shape in map(np.shape, (y for _, y in tasks))] if pairs else []
    several = sorted(set(counts))
    if several in ([], [1]):
        return tasks, 1
    require(len(several) == 1, "tasks", "of one number of outputs", f"of {several}", "give all tasks the same outputs")
    cure = "use 'adapters' or 'trace-norm', or one column"
    require(sharing.several_outputs, "y", f"of shape (m,) for {sharing.name}", f"of {several[0]} columns", cure)
    split = [Moments.from_shared_rows(*one) for one in tasks]
    return [moments[j] for moments in split for j in range(several[0])], several[0]


def _as_tasks(tasks: Any, need_rows: bool) -> Moments | Rows:
    """Stacked moments where sums are enough, else rows with room for the longest task."""
    cure = "pass Moments, or a pair (X, y) per task"
    if isinstance(tasks, (Moments, Rows)):
        return _sums(tasks) if isinstance(tasks, Rows) and not need_rows else stack(tasks) if isinstance(tasks, Moments) else tasks
    several = isinstance(tasks, Sequence) and not isinstance(tasks, (str, bytes)) and len(tasks) > 0
    require(several, "tasks", "one entry per task", with_article(type(tasks).__name__), cure)
    if all(isinstance(one, Moments) for one in tasks):
        return stack(list(tasks))
    pairs = all(isinstance(one, (tuple, list)) and len(one) == 2 for one in tasks)
    require(pairs, "tasks", "all Moments or all pairs (X, y)", [type(one).__name__ for one in tasks], cure)
    moments = [Moments.from_data(*one) for one in tasks]  # which checks them
    stacked = stack(moments)
    if not need_rows:
        return stacked
    longest = max(len(X) for X, _ in tasks)
    X, y = np.zeros((len(tasks), longest, stacked.n_features)), np.zeros((len(tasks), longest))
    for k, (rows, labels) in enumerate(tasks):
        X[k, : len(rows)], y[k, : len(rows)] = np.asarray(rows), np.ravel(np.asarray(labels))
    used = np.arange(longest) < np.asarray([len(rows) for rows, _ in tasks])[:, None]
    dtype = stacked.cross.dtype
    return Rows(jnp.asarray(X, dtype), jnp.asarray(y, dtype), jnp.asarray(used))


def _sums(rows: Rows) -> Moments:
    """Moments of rows that can be looked at, with their factors."""
    used = np.asarray(rows.used)
    return stack([Moments.from_data(np.asarray(X)[u], np.asarray(y)[u]) for X, y, u in zip(rows.X, rows.y, used, strict=True)])
