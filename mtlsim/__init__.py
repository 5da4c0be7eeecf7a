"""mtlsim: when does learning tasks together help, and when does it hurt?

Public names are loaded on first use, so that importing the package (and `mtlsim --help`) stays quick.
"""

import importlib

__version__ = "0.1.0"

_HOME_OF = {
    "LinearTasks": "mtlsim.tasks.linear",
    "ReluTasks": "mtlsim.tasks.relu",
    "ClassificationTasks": "mtlsim.tasks.classification",
    "Tasks": "mtlsim.tasks.recipe",
    "Isotropic": "mtlsim.tasks.covariance",
    "Spiked": "mtlsim.tasks.covariance",
    "PowerLaw": "mtlsim.tasks.covariance",
    "Diagonal": "mtlsim.tasks.covariance",
    "FromMatrix": "mtlsim.tasks.covariance",
    "Rotated": "mtlsim.tasks.covariance",
    "from_data": "mtlsim.tasks.covariance",
    "lowest_alignment": "mtlsim.tasks.relations",
    "Data": "mtlsim.samples.data",
    "draw_data": "mtlsim.samples.data",
    "Moments": "mtlsim.samples.moments",
    "draw_moments": "mtlsim.samples.wishart",
    "covariance_similarity": "mtlsim.similarity",
    "principal_angles": "mtlsim.similarity",
    "cosine_similarity": "mtlsim.similarity",
    "jensen_shannon": "mtlsim.similarity",
    "Solution": "mtlsim.solvers.solution",
    "solve": "mtlsim.solvers.solve",
    "solve_single": "mtlsim.solvers.single",
    "fit": "mtlsim.training.fit",
    "Fitted": "mtlsim.training.fit",
    "Training": "mtlsim.training.network",
    "svd_task_weights": "mtlsim.weighting.algorithm_2",
    "WeightedTraining": "mtlsim.training.weighted",
    "train_weighted": "mtlsim.training.weighted",
    "pareto_front": "mtlsim.solvers.pareto",
    "AlignmentTraining": "mtlsim.alignment.training",
    "align_covariances": "mtlsim.alignment.learned",
    "whiten_and_recolour": "mtlsim.alignment.whitening",
    "Alignment": "mtlsim.cells.alignment",
    "Weighting": "mtlsim.cells.weighting",
    "Transfer": "mtlsim.cells.transfer",
    "TransferDraw": "mtlsim.cells.draw",
    "Population": "mtlsim.cells.population",
    "TrainingCurve": "mtlsim.cells.training_curve",
    "Decomposition": "mtlsim.cells.decomposition",
    "Verdict": "mtlsim.core.verdict",
    "transfer_between_arrays": "mtlsim.arrays.pairs",
    "compare_tasks": "mtlsim.arrays.compare",
    "Study": "mtlsim.arrays.study",
    "SharingRegressor": "mtlsim.arrays.estimators",
    "SharingClassifier": "mtlsim.arrays.estimators",
    "sweep": "mtlsim.sweeps.run",
    "measure": "mtlsim.sweeps.run",
    "merge": "mtlsim.results.collect",
    "estimate": "mtlsim.sweeps.estimate",
    "DaskExecutor": "mtlsim.sweeps.remote",
    "predict": "mtlsim.sweeps.predict",
    "explain": "mtlsim.results.explain",
    "find_boundary": "mtlsim.sweeps.boundary",
    "verify": "mtlsim.verification.run",
    "use": "mtlsim.core.registry",
    "statements_for": "mtlsim.verification.binding",
    "search_counterexample": "mtlsim.verification.counterexample",
    "load_counterexample": "mtlsim.verification.counterexample",
    "Status": "mtlsim.core.status",
    "Certificate": "mtlsim.core.status",
    "cite": "mtlsim.citations",
}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str):
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    if name in ("plots", "experiments", "theory", "sharing"):
        return importlib.import_module(f"mtlsim.{name}")
    raise AttributeError(f"module 'mtlsim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__", "experiments", "plots", "sharing", "theory"]
