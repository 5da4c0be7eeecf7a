"""What an experiment is, and how one becomes a picture with its data beside it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

import mtlsim.experiments as experiments
from mtlsim.core.checks import require, require_choice
from mtlsim.core.registry import find, names
from mtlsim.core.words import counted
from mtlsim.plots.sheet import finish, save
from mtlsim.plots.style import PLAIN, Look, wearing
from mtlsim.results.dataset import is_study, load
from mtlsim.results.selection import axis_of, check_only, left_out, select, words_of
from mtlsim.results.store import check_folder
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
    words: of a figure whose axes are chosen, the words of the options for them: {word: dotted name}.
    whole: further axes of which the picture needs every value, because it compares them.
    title: the sentence above the picture, said of the very data that are drawn. If there is none it is the claim, which was found
    on the full figure; on fewer draws that is said.
    claims: of a figure of several models, what the picture of each shows; the claim is about all of them.
    """

    name: str
    claim: str
    setting: Callable[[Options], Setting]
    draw: Callable[["xr.Dataset"], Any]
    words: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    along: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    title: Callable[["xr.Dataset"], str] | None = None
    claims: Mapping[str, str] = field(default_factory=dict)

    def says(self, data: "xr.Dataset") -> str:
        """What may be said of these data: no more than they show, or whose claim it is."""
        if self.title is not None:
            return self.title(data)
        full = self.setting(Options(model=data.attrs.get("model") or None)).n_seeds
        drawn = data.sizes.get("seed", full)
        fewer = f" (Said of the full figure, of {counted(full, 'draw')} a point; this one has {drawn}.)"
        return self.claims.get(data.attrs.get("model", ""), self.claim) + fewer * (drawn < full)

    def run(self, options: Options, path: Path | None = None, **sweep_options: Any) -> "xr.Dataset":
        """The data of the figure, saved at `path`, or loaded from there if these very settings made it."""
        chosen = [name for name in (options.x, options.y, options.panels) if name is not None]
        require(
            not chosen or bool(self.words), "x, y and panels", f"left out for {self.name}", chosen, "use them with transfer-map"
        )
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

    def lines(self, attributes: Mapping[str, Any]) -> list[str]:
        """The axes along which points lie, of which attributes of the data may say more."""
        return [attributes["x"], attributes["y"]] if self.words else list(self.along)

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


def picture(experiment: Experiment, data: "xr.Dataset", only: Sequence[str] = ()) -> Any:
    """The finished figure of an experiment's data, or of some values of its axes, see `mtlsim.results.selection.select`."""
    shown = select(data, only, experiment.lines(data.attrs), experiment.whole)
    return finish(experiment.draw(shown), experiment.says(shown))


def make_figure(
    name: str, out: Path, options: Options, look: Look = PLAIN, only: Sequence[str] = (), **sweep_options: Any
) -> list[Path]:
    """Write NAME.nc (data), NAME.png and NAME.pdf into `out`, see `Experiment.stem`. Returns the files, pictures first.

    look: with or without the claim as title, how wide, in which formats. only: texts NAME=VALUE, for one panel or curve of many,
    whose picture has a name of its own.
    """
    experiment = find_experiment(name)
    check_folder(Path(out))
    if only:
        setting = experiment.setting(replace(options, model=experiment.model_of(options)))
        check_only(setting.grid, only, experiment.lines(setting.attributes), experiment.whole, experiment.words or None)
    path = Path(out) / f"{experiment.stem(options)}.nc"
    data = experiment.run(options, path, **sweep_options)
    with wearing(look):
        return [*save(picture(experiment, data, only), _part(path, only, data)), path]


def _part(path: Path, only: Sequence[str], data: "xr.Dataset") -> Path:
    """Where the picture of a part goes, which leaves that of the whole alone: one name for a part, whichever word its axis is
    called by, in hyphens."""
    words, axes, names = words_of(data), [str(axis) for axis in data.dims if axis in data.coords], []
    for text in only:
        name, _, values = text.partition("=")
        axis = axis_of(name, axes, "only", words)
        word = next((word for word, one in words.items() if one == axis), axis.rsplit(".", 1)[-1])
        signed = re.sub(r"(^|,)-", r"\1minus-", values)
        names.append(re.sub(r"[^a-zA-Z0-9.]+", "-", f"{word}-{signed}").strip("-"))
    return path.with_name("-".join([path.name.removesuffix(".nc"), *names]))


def redraw(
    path: Path,
    out: Path | None = None,
    look: Look = PLAIN,
    only: Sequence[str] = (),
    x: str | None = None,
    y: str | None = None,
    panels: str | None = None,
) -> list[Path]:
    """Draw a saved figure's data again, any sweep of a gain over one parameter as a curve, over two or three as a map, a study.

    look, only: as for `make_figure`. x, y, panels: for a sweep, the parameters along the axes and of the panels; without y, curves.
    A sweep over more is drawn at the first values of the others, and the picture's title says what it leaves out.
    """
    chosen = [name for name in (x, y, panels) if name is not None]
    if is_study(path):
        from mtlsim.arrays.study import Study
        from mtlsim.plots.study import study
        from mtlsim.plots.study_curves import study_curves

        require(not chosen and not only, "x, y, panels and only", "left out for a study", [*chosen, *only], "drop them")
        found = Study.load(path).data
        with wearing(look):
            pictures = _saved(finish(study(found)), path, out)
            if "curve_gain" in found:
                pictures += _saved(finish(study_curves(found)), path.with_name(f"{path.stem}-curve.nc"), out)
        return pictures
    data = load(path)
    name = data.attrs.get("experiment")
    with wearing(look):
        if name is None:
            return _saved(_picture_of_sweep(data, only, x, y, panels), _part(path, only, data), out)
        cure = "name its file by --from FILE.py, as a result runs no code of its own"
        require(name in experiment_names(), "result", "of a figure that is known", f"of {name!r}", cure)
        experiment = find_experiment(name)
        cure = f"they are for a sweep of your own; `mtlsim figure {name} --only NAME=VALUE` has parts of this one"
        require(not chosen, "x, y and panels", f"left out for the figure {name}", chosen, cure)
        return _saved(picture(experiment, data, only), _part(path, only, data), out)


def _picture_of_sweep(data: "xr.Dataset", only: Sequence[str], x: str | None, y: str | None, panels: str | None) -> Any:
    """A curve or a map of a sweep that no experiment made, with what it leaves out as its title."""
    from mtlsim.plots.curves import transfer_curve
    from mtlsim.plots.maps import transfer_map

    cure = "look at it with xarray.open_dataset(path)"
    require("gain_mean" in data, "result", "a sweep of a gain", f"one of {', '.join(data.data_vars)}", cure)
    cells = select(data, only)
    axes = [str(axis) for axis in data["gain_mean"].dims]
    x, y, panels = (name if name is None else axis_of(name, axes, "x, y and panels", words_of(data)) for name in (x, y, panels))
    named = [name for name in (x, y, panels) if name is not None]
    require(len(set(named)) == len(named), "x, y and panels", "different parameters", named, "choose another")
    swept = [axis for axis in axes if cells.sizes[axis] > 1 and axis not in named]
    require(bool(named or swept), "result", "a sweep over one parameter or more", "one cell", "read it with `mtlsim explain`")
    curve = (x is not None and y is None) or (not named and len(swept) == 1)
    if curve:
        x = x or swept[0]
        kept = [name for name in (x, panels) if name is not None]
    else:
        x = x or swept.pop(0)
        y = y or (swept.pop(0) if swept else None)
        require(y is not None, "y", "a parameter that was swept", "missing", "say which runs along x, for a curve")
        panels = panels or (swept.pop(0) if swept else None)
        kept = [name for name in (x, y, panels) if name is not None]
    cells = cells.isel({axis: [0] for axis in axes if axis not in kept})
    shown = cells.isel({axis: 0 for axis in axes if axis not in kept})
    fig = transfer_curve(shown, x, panels) if curve else transfer_map(shown, x, y, panels)
    missing = left_out(data, cells)
    return finish(fig, f"Shown: {'; '.join(missing)}." if missing else None)


def _saved(fig: Any, path: Path, out: Path | None) -> list[Path]:
    """The picture beside the result, or in the folder `out`."""
    if out is not None:
        check_folder(Path(out))
    return save(fig, (Path(out) if out is not None else path.parent) / path.name)
