"""The optimal shared layer: exact routes first; each answer says which route was taken and how certain it is.

| Problem | Route | Certificate |
|---|---|---|
| rank >= tasks | `separate` (Proposition 1) | exact |
| same rows for all tasks, any rank and weights | `shared_covariates` (Proposition 3) | exact |
| two tasks, rank one, different rows | `secular` (on accelerators `secular-cholesky`) | exact; an interval where rounding or the search leaves a gap |
| more tasks, rank one | `newton` over the heads, many starts | interval, from all pairs; with `certify=True` exact to five tasks |
| everything else | `newton-columns`, over the heads of several columns | none |

Task weights and a ridge per task go into every route. Every solution says its route, certificate, gap and status. "exact" means
that the gap, the rounding of rows and sums in it, is within 10^-6 of the smaller task's explained energy or in the last three
digits of all energy. Moments of rows keep a triangular factor beside X'X, which has lost half of the digits: two tasks are solved
in the directions that both see (`solvers/directions.py`), and drawn ones too where the fast pencil cannot prove that it has seen
them all. How they were
tried, and how fast they are: `tests/benchmarks/README.md`.

For three tasks and more, `mtl.solve(moments, 1, certify=True)` (in a cell `sharing=Hard(certify=True)`, in TOML
`sharing = {name = "hard", certify = true}`) proves that no heads explain more, by branch and bound over boxes of heads whose bounds
have an error of third order (`solvers/boxes.py`); of more than five tasks it proves groups of five, and their sum is the bound.

`mtl.tune_weights(moments, rank, criterion)` searches the weights whose optimum is best by a criterion, the worst loss or any other,
and says what is proven of them (`solvers/scalarise.py`).

## The heart

The heart is `solvers/secular.py`. With heads (1, t), the energy explained by the best shared direction is a function G of one
variable. In log t all its derivatives are bounded by its own values and slopes, so that a table joined by cubics is a proven
upper bound: three passes over a table of 24 nodes give the global optimum and its certificate, at the cost of a fraction of an
eigendecomposition. `solvers/pencil.py` is what G is computed from: drawn moments carry the Cholesky factors that whiten one task
by the other, and in the tridiagonal basis that starts from one task's side a value and a slope take one pass over d numbers.
"""  # noqa: E501

from mtlsim.solvers.single import solve_single as solve_single
from mtlsim.solvers.solution import Solution as Solution
from mtlsim.solvers.solve import solve as solve
