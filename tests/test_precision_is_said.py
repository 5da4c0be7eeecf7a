"""float32 is never a surprise: preparing too late is refused, and results in float32 say so."""

import gc
import os
import subprocess
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mtlsim as mtl
from mtlsim.cells.draw import TransferDraw
from mtlsim.core.status import IN_FLOAT32
from mtlsim.launcher import COLLECTED, prepare
from mtlsim.results.dataset import assemble
from mtlsim.results.explain import explain
from mtlsim.results.grid import Grid
from mtlsim.theory import find_statement
from mtlsim.verification.holes import search_holes


def too_late(monkeypatch, wide, environment=None):
    """prepare() where jax is loaded in float64 or not, and what it left in the environment."""
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(config=SimpleNamespace(jax_enable_x64=wide)))
    monkeypatch.setattr(os, "environ", dict(environment or {}))
    prepare()
    return os.environ


def test_preparing_after_jax_in_float32_is_refused_with_a_cure_for_a_notebook(monkeypatch):
    with pytest.raises(RuntimeError, match="restart the kernel and call prepare.. in the first cell") as error:
        too_late(monkeypatch, wide=False)
    assert "jax_enable_x64" in str(error.value) and "JAX_ENABLE_X64" not in os.environ


def test_preparing_again_or_by_a_user_who_has_chosen_is_fine(monkeypatch):
    assert too_late(monkeypatch, wide=True)["JAX_ENABLE_X64"] == "1"
    assert too_late(monkeypatch, wide=False, environment={"JAX_ENABLE_X64": "0"})["JAX_ENABLE_X64"] == "0"


def test_devices_that_come_too_late_are_warned_of(monkeypatch):
    monkeypatch.setattr(os, "environ", {"XLA_FLAGS": ""})
    with pytest.warns(RuntimeWarning, match=r"restart Python and call prepare\(4\) before jax is imported"):
        prepare(4)


def test_the_cures_work():
    lines = ("import jax", "jax.config.update('jax_enable_x64', True)", "from mtlsim.launcher import prepare", "prepare()")
    program = "\n".join([*lines, "print(jax.numpy.ones(1).dtype)"])
    environment = {name: value for name, value in os.environ.items() if name != "JAX_ENABLE_X64"}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout.split() == ["float64"]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_a_draw_says_its_precision(dtype):
    numbers = [jnp.asarray(value, dtype) for value in (0.5, 1.0, 0.5, 0.0, 0.0, 0.0)]
    shown = repr(TransferDraw(*numbers, jnp.int32(0), jnp.int32(0), "secular"))
    assert (IN_FLOAT32 in shown) == (dtype == jnp.float32)


@pytest.mark.parametrize("wide", [True, False])
def test_a_stored_result_says_its_precision(wide):
    gains = {f"gain_{name}": (np.zeros((1, 1)), (), {}) for name in ("mean", "standard_error", "low", "high", "sign", "n_seeds")}
    data = assemble(Grid(()), gains, {}, {"float64": wide, "outputs": {}}, 0.95)
    assert data.attrs["precision"] == ("float64" if wide else "float32")
    assert (IN_FLOAT32 in explain(data)) != wide


def test_a_sweep_in_float32_says_so(capsys):
    from noisy import Noisy

    with jax.enable_x64(False):
        data = mtl.sweep(Noisy(), {"drift": [1.0]}, 2, jax.random.key(0), progress=True)
    assert data.attrs["precision"] == "float32" and IN_FLOAT32 in capsys.readouterr().err


@pytest.mark.parametrize(
    "judged",
    [
        lambda: mtl.verify(["group-gain"], fast=True),
        lambda: mtl.verify(["eavesdropping"]),
        lambda: mtl.search_counterexample(find_statement("effective-rows"), {"noise": (0.1, 2.0)}),
        lambda: search_holes(find_statement("effective-rows")),
    ],
)
def test_nothing_is_judged_in_float32(judged):
    """There general-predictor did not apply, beyond-weights was refuted, and group-gain drew instances for ever."""
    with (
        jax.enable_x64(False),
        pytest.raises(ValueError, match="must be run in float64.*but is run in float32; call mtlsim.launcher"),
    ):
        judged()


@pytest.mark.parametrize(("given", "left"), [(700, COLLECTED), (0, 0), (COLLECTED + 1, COLLECTED + 1)])
def test_a_prepared_process_looks_for_garbage_less_often_than_python_unless_the_user_has_chosen(monkeypatch, given, left):
    before = gc.get_threshold()
    try:
        gc.set_threshold(given, *before[1:])
        too_late(monkeypatch, wide=True)
        assert gc.get_threshold() == (left, *before[1:])
    finally:
        gc.set_threshold(*before)
