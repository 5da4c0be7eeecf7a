"""Commands on a user's own data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class Transfer:
    """Does the source help the target? Two .npz files with arrays X (rows, features) and y (rows,)."""

    source: Positional[Path]
    """The task to transfer from."""
    target: Positional[Path]
    """The task to do well on."""
    rank: int = 1
    """Columns of the shared layer."""
    target_samples: int | None = None
    """Target rows that train; the rest test."""
    splits: int = 50
    """Random held-out splits of the target."""
    seed: int = 0
    """Random seed of the splits."""
    level: float = 0.95
    """Level of the intervals."""
    duplicates: Literal["auto", "drop", "keep"] = "auto"
    """Rows of the source that are rows of the target: left out, kept, or (auto) left out unless rows repeat by chance."""
    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> int:
        from json import dumps

        from mtlsim.arrays.pairs import compare_files

        options = self.rank, self.target_samples, self.splits, self.seed, self.level, self.duplicates
        result = compare_files(self.source, self.target, *options)
        print(dumps(result.to_dict(), indent=1, allow_nan=False) if self.json else result)
        return 0 if result.gain.n_seeds else 1  # no split gave a finite answer


@dataclass(frozen=True)
class Compare:
    """Which tasks should be trained together? Files of tasks, a folder of them, or one table with a column of tasks."""

    files: Positional[tuple[Path, ...]]
    """.npz files with X and y, .csv, .tsv or .parquet tables, or folders of them."""
    target: tuple[str, ...] = ()
    """Tasks whose gain is wanted; all if left out, and then groups are searched too."""
    labels: str = "y"
    """Column of a table that holds the labels; several with commas between are several tasks."""
    task: str | None = None
    """Column of a table that names the task of each row; without it each file is a task."""
    groups: str | None = None
    """Column of the tables that says which rows belong together (a pupil, a patient): they train or test together."""
    time: str | None = None
    """Column of the tables that says when a row was: later rows test what earlier ones have learned."""
    weights: str | None = None
    """Column of the tables that says how much a row's squared error counts."""
    target_samples: int | None = None
    """Target rows that train; the rest test."""
    splits: int = 20
    """Random held-out splits of every target."""
    seed: int = 0
    """Random seed of the splits."""
    level: float = 0.95
    """Level of the intervals."""
    duplicates: Literal["auto", "drop", "keep"] = "auto"
    """Rows of a source that are rows of the target: left out, kept, or (auto) left out unless rows repeat by chance."""
    curve: bool = False
    """Gains by the number of the target's rows too, and where their sign turns."""
    affinities: bool = False
    """Affinities of pairs too, and how well each of them tells the gain on rows held out."""
    network: bool = False
    """What a network gains with the same sources too, and whether it agrees; it is trained on some of the splits."""
    out: Path | None = None
    """A .nc file for all of it, which `mtlsim plot` draws, or a .csv file with a row for each target."""
    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> int:
        from json import dumps

        import jax

        from mtlsim.arrays.compare import compare_tasks
        from mtlsim.arrays.tables import read_beside
        from mtlsim.core.checks import require
        from mtlsim.results.store import check_writable

        if self.out is not None:
            known = self.out.suffix in (".nc", ".csv")
            require(known, "out", "a name that ends in .nc or .csv", self.out, "add one of these endings")
            require(not self.out.exists(), "out", "a new file", f"{self.out}, which is there", "remove it, or choose another name")
            check_writable(self.out.parent, "out")
        named = {"groups": self.groups, "time": self.time, "weights": self.weights}
        asked = {name: column for name, column in named.items() if column is not None}
        tasks, beside = read_beside(self.files, self.labels, self.task, asked)
        study = compare_tasks(
            tasks,
            targets=self.target or None,
            target_samples=self.target_samples,
            n_splits=self.splits,
            level=self.level,
            duplicates=self.duplicates,
            curve=self.curve,
            affinities=self.affinities,
            network=self.network,
            **beside,
            key=jax.random.key(self.seed),
        )
        print(dumps(study.to_dict(), indent=1, allow_nan=False) if self.json else study)
        if self.out is not None:
            study.to_frame().to_csv(self.out) if self.out.suffix == ".csv" else study.save(self.out)
            if not self.json:
                print(self.out)
        return 0


@dataclass(frozen=True)
class Weights:
    """Weights of tasks on the same rows, from the top directions X'y (Algorithm 2 of the founding paper)."""

    X: Positional[Path]
    """A .npy file of rows (rows, features); read in blocks."""
    Y: Positional[Path]
    """A .npy file of labels (rows, tasks)."""
    rank: int = 1
    """Columns of the shared layer, at most the number of tasks."""
    normalized: bool = False
    """Divide by the length of X'y, so that the scale of labels does not matter."""
    whitened: bool = False
    """Take directions after whitening X, which are those of the optimal shared layer."""

    def run(self) -> int:
        from mtlsim.core.files import load_array
        from mtlsim.weighting.algorithm_2 import svd_task_weights

        weights = svd_task_weights(load_array(self.X), load_array(self.Y), self.rank, self.normalized, self.whitened).tolist()
        for task, weight in enumerate(weights):
            print(f"task {task}: weight {weight:.6g}, {100 * weight / sum(weights):.3g} % of all")
        return 0


@dataclass(frozen=True)
class Score:
    """Covariance similarity of two sets of rows, literal and normalised (1 = same)."""

    first: Positional[Path]
    """A .npy file of rows (rows, features); read in blocks."""
    second: Positional[Path]
    """Another one with the same features."""
    kept: float = 0.99
    """Share of the variance that the low-rank approximations hold."""
    uncentred: bool = False
    """Leave each task's means in its rows, as Eq. 5 is printed; a common offset then makes all tasks alike."""

    def run(self) -> int:
        from mtlsim.core.checks import require
        from mtlsim.core.files import load_array
        from mtlsim.samples.moments import Moments
        from mtlsim.similarity import covariance_similarity, scatter

        pair = []
        for path in (self.first, self.second):
            gram = scatter(load_array(path), str(path), not self.uncentred)
            wanted, found = ("that are not all zero", "zero") if self.uncentred else ("that differ", "the same row over and over")
            require(bool(gram.any()), str(path), f"rows {wanted}", found, "give other rows")
            pair.append(Moments(gram, 0 * gram[0], gram[0, 0] * 0, gram[0, 0] * 0))
        both = [float(covariance_similarity(*pair, self.kept, normalized)) for normalized in (False, True)]
        centred = "each task less its own means; --uncentred for Eq. 5 as printed"
        how = "uncentred, as Eq. 5 is printed" if self.uncentred else centred
        print(f"covariance similarity {both[0]:.6g}, normalised {both[1]:.6g} (1 = same), {how}")
        return 0
