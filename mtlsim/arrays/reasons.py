"""The words of a study, and why two things that it says may differ: by another learner, another test, or another question."""

from typing import Any

import numpy as np

WORDS_USED = {
    "alone": "ridge regressions of the target's own rows, mixed by their leave-one-out errors",
    "together": "the mixture: ridge regressions with the sources and alone, mixed by their leave-one-out errors",
    "layer": "a way of the mixture: a layer of the sources' solutions, with a way out",
    "weighted-rows": "a way of the mixture: rows of the sources count by a weight that the target's rows choose",
    "mean-regularised": "a way of the mixture: pulled to the mean of the sources' solutions",
    "pooled": "no way of the mixture: one regression in which every row of a source counts as one of the target's",
    "learn with": "the sources with most weight in the mixture, where it has gained in the mean; the word beside an interval says "
    "whether that is decided",
}


def reasons(study: Any) -> dict[str, list[str]]:
    """One sentence for everything that looks like a contradiction and is none, by task; "" for all of them."""
    return {"": _on_joint_signs(study)} | {task: _of_task(study, study.best(task)) for task in study.tasks}


def _on_joint_signs(study: Any) -> list[str]:
    signs, joint = study.data["sign"].values, study.data["sign_joint"].values
    lost = [task for task, one, both in zip(study.tasks, signs, joint, strict=True) if one and not both]
    found = []
    if lost:
        what = f"decided by itself but not jointly over the tasks: {', '.join(lost)}"
        found.append(f"{what}: not one of {len(signs)} signs may be wrong, which asks for more of each")
    if float(study.data.attrs["total_low"]) > 0 and not (joint > 0).any():
        found.append("the mean over tasks is decided though no single task is jointly: errors of single tasks average out")
    return found


def _of_task(study: Any, advice: Any) -> list[str]:
    task, own, found = advice.task, study.data.sel(task=advice.task), []
    if "curve_gain" in study.data:
        found += _on_pooling(own, advice)
    if "group_gain" in study.data:
        (group,) = [group for group in study.grouping() if task in group]
        chosen = "groups are chosen for the total of their tasks, a source for one target"
        if advice.sources and len(group) == 1:
            found.append(f"{task} learns with {', '.join(advice.sources)} but is in no group: {chosen}")
        if not advice.sources and len(group) > 1:
            found.append(f"{task} is best left alone but is in a group: {chosen}")
    if "network_gain" in study.data:
        found += _on_network(int(own["network_sign"]), advice)
    signs = {str(name): int(own["pair_sign"].sel(source=name)) for name in own["source"].values}
    harmful = [name for name in advice.sources if signs[name] < 0]
    if harmful:
        found.append(f"{task} loses with {', '.join(harmful)} as its only source, and gains with it beside the others")
    helpful = [name for name, sign in signs.items() if sign > 0]
    if helpful and not advice.sources:
        why = "the mixture of all sources has not gained in the mean"
        found.append(f"{task} gains with {', '.join(helpful)} as its only source, but is best left alone: {why}")
    return found


def _on_network(sign: int, advice: Any) -> list[str]:
    if sign < 0 and advice.sources:
        why = "its tasks share all hidden units, with no way out, where the mixture may leave sources out"
        return [f"{advice.task} is hurt by sharing in a network, and learns with {', '.join(advice.sources)}: {why}"]
    if sign > 0 and not advice.sources:
        why = "its units bend, and may share what straight lines do not tell"
        return [f"{advice.task} is helped by sharing in a network, but left alone by the ridge regressions: {why}"]
    return []


def _on_pooling(own, advice: Any) -> list[str]:
    known = np.isfinite(own["curve_rows"].values)
    rows, signs = own["curve_rows"].values[known], own["curve_sign_joint"].sel(learner="pooled").values[known]
    at = lambda sign: " to ".join(f"{n:.0f}" for n in sorted({*rows[signs == sign][[0, -1]]}))
    if (signs < 0).any() and advice.sources:
        why = "pooling counts their rows as its own, the mixture gives them what weight its own rows choose, or none"
        return [f"{advice.task} is hurt by pooling at {at(-1)} rows, and learns with {', '.join(advice.sources)}: {why}"]
    if (signs > 0).any() and not advice.sources:
        return [
            f"{advice.task} is helped by pooling at {at(1)} rows, but left alone: the advice is of the mixture and all its rows"
        ]
    return []
