"""A fast figure has fewer points and seeds, and every curve and panel that the full one has."""

import pytest
import xarray as xr

from mtlsim.experiments._experiment import Options, experiment_names, find_experiment

FIGURES = [(name, model) for name in experiment_names() for model in find_experiment(name).models or (None,)]


@pytest.mark.parametrize(("name", "model"), FIGURES)
def test_a_fast_figure_has_the_same_curves(name, model):
    experiment = find_experiment(name)
    fast, full = (experiment.setting(Options(fast=fast, model=model)) for fast in (True, False))
    assert fast.n_seeds <= full.n_seeds and fast.grid.keys() == full.grid.keys()
    for axis, values in full.grid.items():
        few, many = list(fast.grid[axis]), list(values)
        if axis in experiment.along:
            assert min(2, len(many)) <= len(few) <= len(many) and min(many) <= min(few) and max(few) <= max(many)
        else:
            assert few == many, axis


def test_what_lies_along_an_axis_is_an_axis():
    for name, model in FIGURES:
        experiment = find_experiment(name)
        named = set(experiment.along) if name != "transfer-map" else set()  # any of its parameters may be drawn along
        assert named <= set(experiment.setting(Options(model=model)).grid)
        assert not any(axis.split(".")[-1] in ("scheme", "relation", "statement", "mode", "way") for axis in named)


def test_both_sides_of_the_critical_angle_are_drawn():
    degrees = find_experiment("relu-critical-angle").setting(Options(fast=True)).grid["degrees"]
    assert any(85 <= angle < 85.4 for angle in degrees) and any(85.4 < angle <= 86 for angle in degrees)


def test_the_picture_of_a_model_claims_nothing_of_others():
    for name, model in FIGURES:
        experiment = find_experiment(name)
        assert not experiment.claims or set(experiment.claims) == set(experiment.models)
        if model and experiment.title is None:
            n_seeds = experiment.setting(Options(model=model)).n_seeds
            data = xr.Dataset(coords={"seed": range(n_seeds)}, attrs={"model": model})
            assert ("ReLU" in experiment.says(data)) == ("relu" in model), (name, model)
            assert "of the full figure" in experiment.says(data.isel(seed=slice(1)))
