"""Core: statuses that travel as data, messages for bad input, named streams of keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mtlsim as mtl
from mtlsim.core import checks
from mtlsim.core.checks import nearest, require, require_all, require_choice, require_finite
from mtlsim.core.keys import stream
from mtlsim.core.status import SENTENCES, Certificate, Status, flag, worst


def test_every_status_has_a_sentence_and_a_fixed_number():
    """The numbers are written into files."""
    assert {status.name: int(status) for status in Status} == {
        "ok": 0,
        "ill_conditioned": 1,
        "degenerate": 2,
        "not_converged": 3,
        "out_of_range": 4,
        "heavy_tailed": 5,
    }
    assert {certificate.name: int(certificate) for certificate in Certificate} == {"exact": 0, "interval": 1, "none": 2}
    assert set(SENTENCES) == set(Status)
    for status in Status:
        assert status.sentence.endswith(".") and len(status.sentence) > 4


def test_the_cure_for_a_lack_of_precision_is_the_line_to_add():
    assert "jax.config.update('jax_enable_x64', True)" in Status.ill_conditioned.sentence


def test_worst_is_the_largest_elementwise_and_under_jit_and_vmap():
    assert worst(jnp.int32(0)) == Status.ok
    several = [jnp.array([0, 1, 4]), jnp.array([2, 0, 3]), jnp.array([0, 0, 0])]
    np.testing.assert_array_equal(worst(*several), [2, 1, 4])
    np.testing.assert_array_equal(jax.jit(worst)(*several), [2, 1, 4])
    np.testing.assert_array_equal(jax.vmap(worst)(*several), [2, 1, 4])


def test_flag_is_the_status_where_the_condition_holds():
    raised = jax.jit(lambda x: flag(x > 1, Status.not_converged))(jnp.array([0.0, 2.0, jnp.nan]))
    np.testing.assert_array_equal(raised, [Status.ok, Status.not_converged, Status.ok])
    assert raised.dtype == jnp.int32


def test_a_solution_shows_its_diagnosis():
    few = [mtl.Moments.from_data(np.eye(4)[i : i + 1], np.ones(1)) for i in range(2)]
    shown = repr(mtl.solve(few, 1))
    assert "degenerate: many shared layers are optimal" in shown and "by secular" in shown
    rng = np.random.default_rng(0)
    fine = repr(mtl.solve([mtl.Moments.from_data(rng.normal(size=(9, 4)), rng.normal(size=9)) for _ in range(2)], 1))
    assert "shared (4, 1), heads (2, 1)" in fine and "exact by secular" in fine and "\n" not in fine


def test_one_sentence_names_the_argument_the_rule_the_value_and_the_cure():
    with pytest.raises(ValueError, match=r"^depth must be positive, but is -3; use 1\.$"):
        require(False, "depth", "positive", -3, "use 1")
    require(True, "depth", "positive", -3, "use 1")


def test_checks_look_at_numbers_and_let_tracers_pass():
    positive = lambda v: v > 0
    require_all((1, 2.0, np.float32(3), np.array([1, 2]), jnp.ones(2)), positive, "x", "positive", "use 1")
    for bad in (-1, -1.0, np.array([1, -2]), jnp.array([0.0]), (1, -1), [np.int64(-3)]):
        with pytest.raises(ValueError, match="x must be positive"):
            require_all(bad, positive, "x", "positive", "use 1")
    jax.jit(lambda x: require_all(x, positive, "x", "positive", "use 1"))(-1.0)
    jax.jit(lambda x: require_finite(x, "x"))(jnp.nan)


def test_finite_check_counts_rows():
    require_finite(np.ones((3, 2)), "x")
    require_finite(jax.random.key(0), "x")
    array = np.ones((5, 2, 2))
    array[1, 0, 0], array[3, :, 1] = np.inf, np.nan
    with pytest.raises(
        ValueError, match=r"x must be finite, but holds NaN or infinity in 2 of 5 rows; drop or impute those rows\."
    ):
        require_finite(array, "x")
    with pytest.raises(ValueError, match="in 1 of 1 row"):
        require_finite(np.nan, "x")


def test_unknown_names_get_the_nearest_choice(monkeypatch):
    assert str(nearest("gausian", ["gaussian", "sphere"])) == "did you mean 'gaussian'? choices: gaussian, sphere"
    assert str(nearest("xyz", ["gaussian", "sphere"])) == "choices: gaussian, sphere"
    with pytest.raises(ValueError, match="rows must be one of the known names, but is 'gausian'; did you mean 'gaussian'"):
        require_choice("gausian", {"gaussian": 1}, "rows")
    monkeypatch.setattr(checks.difflib, "get_close_matches", lambda *_, **__: pytest.fail("looked for, though nothing is wrong"))
    require_choice("gaussian", {"gaussian": 1}, "rows")


def test_streams_differ_by_name_index_and_key_and_are_fixed():
    key = jax.random.key(0)
    keys = [stream(k, name, i) for k in (key, jax.random.key(1)) for name in ("noise", "covariates") for i in range(3)]
    assert len({tuple(np.asarray(jax.random.key_data(k)).tolist()) for k in keys}) == len(keys)
    again = stream(jax.random.key(0), "noise", 2)
    np.testing.assert_array_equal(jax.random.key_data(again), jax.random.key_data(keys[2]))
    traced = jax.jit(lambda key: stream(key, "noise", 2))(key)
    np.testing.assert_array_equal(jax.random.key_data(traced), jax.random.key_data(again))
