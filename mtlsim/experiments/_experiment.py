"""What an experiment is, and how one becomes a picture with its data beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

import mtlsim.experiments as experiments
from mtlsim.core.checks import require, require_choice
from mtlsim.core.registry import find, names
from mtlsim.plots import style
from mtlsim.results.dataset import load
from mtlsim.results.store import check_writable
from mtlsim.sweeps.run import sweep

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Options:
    """What a user may choose: fewer points and seeds, the random seed, the kind of tasks, and for maps the axes."""

    fast: bool = False
    n_seeds: int | None = None
    seed: int = 0
    model: str | None = None
    x: str | None = None
    y: str | None = None
    panels: str | None = None


@dataclass(frozen=True)
class Setting:
    """A cell, the grid it is swept over, and seeds per cell."""

    cell: Any
    grid: Mapping[str, Any]
    n_seeds: int
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A figure: `setting(options)` says what is swept, `draw(dataset)` makes the picture, `claim` what it shows.

    models: kinds of tasks that it can be made for, the first by default; `draw` finds the chosen one in the data's attributes.
    along: the axes of the grid along which points lie. A fast figure has fewer points along them and fewer seeds, and along every
    other axis, of which a curve or a panel is made for each value, all that the full figure has.
    """

    name: str
    claim: str
    setting: Callable[[Options], Setting]
    draw: Callable[["xr.Dataset"], Any]
    has_axes: bool = False
    models: tuple[str, ...] = ()
    along: tuple[str, ...] = ()

    def run(self, options: Options, path: Path | None = None, **sweep_options: Any) -> "xr.Dataset":
        """The data of the figure, saved at `path`, or loaded from there if these very settings made it."""
        chosen = [name for name in (options.x, options.y, options.panels) if name is not None]
        require(not chosen or self.has_axes, "x, y and panels", f"left out for {self.name}", chosen, "use them with transfer-map")
        options = replace(options, model=self.model_of(options))
        setting = self.setting(options)
        n_seeds = setting.n_seeds if options.n_seeds is None else options.n_seeds
        attributes = {"experiment": self.name, "claim": self.claim, "model": options.model or "", **setting.attributes}
        return sweep(
            setting.cell, setting.grid, n_seeds, jax.random.key(options.seed), path, attributes=attributes, **sweep_options
        )

    def model_of(self, options: Options) -> str | None:
        """The kind of tasks that the options ask for."""
        known = options.model is None or bool(self.models)
        require(known, "model", f"left out for {self.name}, which is about one kind of tasks", options.model, "drop it")
        if options.model is not None:
            require_choice(options.model, self.models, "model")
        return options.model or (self.models[0] if self.models else None)

    def stem(self, options: Options) -> str:
        """Name of its files: that of the figure, of a model that is not the first, and -fast."""
        model = self.model_of(options)
        return "-".join([self.name, *([model] if model in self.models[1:] else []), *(["fast"] if options.fast else [])])


def experiment_names() -> list[str]:
    return names(experiments, "EXPERIMENT")


def find_experiment(name: str) -> Experiment:
    found = find(experiments, name, "EXPERIMENT")
    require(isinstance(found, Experiment), "experiment", "an Experiment", repr(found), "see `mtlsim new experiment NAME`")
    return found


def make_figure(name: str, out: Path, options: Options, **sweep_options: Any) -> list[Path]:
    """Write NAME.nc (data), NAME.png and NAME.pdf into `out`, see `Experiment.stem`. Returns the files, picture first."""
    experiment = find_experiment(name)
    check_writable(Path(out), "out")
    path = Path(out) / f"{experiment.stem(options)}.nc"
    data = experiment.run(options, path, **sweep_options)
    return [*style.save(experiment.draw(data), path), path]


def redraw(path: Path, out: Path | None = None) -> list[Path]:
    """Draw a saved figure's data again, any sweep of a gain over one parameter as a curve, over two or three as a map, a study."""
    from mtlsim.arrays.study import Study, is_study
    from mtlsim.plots.curves import transfer_curve
    from mtlsim.plots.maps import transfer_map
    from mtlsim.plots.study import study
    from mtlsim.plots.study_curves import study_curves

    if is_study(path):
        found = Study.load(path).data
        pictures = _saved(study(found), path, out)
        if "curve_gain" in found:
            pictures += _saved(study_curves(found), path.with_name(f"{path.stem}-curve.nc"), out)
        return pictures
    data = load(path)
    name = data.attrs.get("experiment")
    if name is None:
        cure = "look at it with xarray.open_dataset(path)"
        require("gain_mean" in data, "result", "a sweep of a gain", f"one of {', '.join(data.data_vars)}", cure)
        swept = [axis for axis in data["gain_mean"].dims if data.sizes[axis] > 1]
        require(len(swept) > 0, "result", "a sweep over one parameter or more", "one cell", "read it with `mtlsim explain`")
        fig = transfer_curve(data, swept[0]) if len(swept) == 1 else transfer_map(data)
    else:
        fig = find_experiment(name).draw(data)
    return _saved(fig, path, out)


def _saved(fig: Any, path: Path, out: Path | None) -> list[Path]:
    """The picture beside the result, or in the folder `out`."""
    if out is not None:
        check_writable(Path(out), "out")
    return style.save(fig, (Path(out) if out is not None else path.parent) / path.name)
