"""The exact two-task cell (draw, STL, exact MTL, risks) against one batched `eigh` of the same matrices, with its parts."""

import jax
import jax.numpy as jnp
import pytest
from exact_cell import DIMENSIONS, measure, report
from smoke import SMOKE, sized

LIMITS = {20: 1.2, 50: 1.0, 100: 1.0, 200: 1.6}  # over one batched eigh in float64


@pytest.mark.parametrize("wide", sized([True, False], [True]))
@pytest.mark.parametrize("d", DIMENSIONS)
def test_the_whole_cell_against_one_batched_eigh(d, wide):
    with jax.enable_x64(wide):
        found = measure(d)
        print("\n" + report(d, found))
        assert found["gain"].dtype == jnp.zeros(()).dtype
    if wide and not SMOKE:
        assert found["cell"] <= LIMITS[d] * found["eigh"]
