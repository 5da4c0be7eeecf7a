"""What gradient steps of an alignment are made of: losses, starts, and moves along orthogonal matrices."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from mtlsim.core.keys import stream
from mtlsim.core.linalg import multiply
from mtlsim.samples.data import Rows
from mtlsim.samples.moments import Moments
from mtlsim.tasks.covariance import random_basis


def losses_of(
    tasks: Moments | Rows,
    alignments: Float[Array, "K d d"],
    heads: Float[Array, "K r"],
    shared: Float[Array, "d r"],
    activation: str,
) -> Float[Array, " K"]:
    """Mean squared error of g(X_k R_k B) A_k, from rows or from moments over their number of rows (g is then the identity)."""
    layers = jnp.einsum("kde,er->kdr", alignments, shared, precision="highest")
    if isinstance(tasks, Moments):
        parameters = jnp.einsum("kdr,kr->kd", layers, heads, precision="highest")
        fitted = jnp.einsum("kd,de->ke" if tasks.shared_covariates else "kd,kde->ke", parameters, tasks.gram, precision="highest")
        return tasks.energy + jnp.sum(parameters * (fitted - 2 * tasks.cross), -1)
    scores = jnp.einsum("kmd,kdr->kmr", tasks.X, layers, precision="highest")
    units = jax.nn.relu(scores) if activation == "relu" else scores
    misses = jnp.einsum("kmr,kr->km", units, heads, precision="highest") - tasks.y
    counts = jnp.maximum(jnp.sum(tasks.used, -1), 1)
    return jnp.sum(jnp.where(tasks.used, misses, 0) ** 2, -1) / counts


def start_alignments(start: str, n_tasks: int, identity: Float[Array, "d d"], key: Key[Array, ""]) -> Float[Array, "K d d"]:
    """The identity for each task, or rotations and reflections of uniform law."""
    if start == "identity":
        return jnp.broadcast_to(identity, (n_tasks, *identity.shape))
    return jnp.stack([random_basis(stream(key, "alignment", task), len(identity)) for task in range(n_tasks)])


def orthogonal_step(alignments: Float[Array, "K d d"], moves: Float[Array, "K d d"]) -> Float[Array, "K d d"]:
    """Orthogonal R and a move M of each task: Q of R + R skew(R'M), its triangle's diagonal made positive."""
    inner = multiply(jnp.swapaxes(alignments, -1, -2), moves)
    tangent = multiply(alignments, (inner - jnp.swapaxes(inner, -1, -2)) / 2)
    turned, triangle = jnp.linalg.qr(alignments + tangent)
    return turned * jnp.sign(jnp.diagonal(triangle, axis1=-2, axis2=-1))[:, None]
