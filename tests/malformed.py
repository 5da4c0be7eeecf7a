"""TOML files with one thing wrong, each of which must end in one sentence, up to the checks of a sweep.

Run as a script, in a process whose annotations are not checked, as users have it; it prints those that end otherwise.
"""

import re
import tempfile
from pathlib import Path

# fmt: off
WHOLE = (
    'tasks=3',
    'cell=3',
    'grid=3',
    'sweep=3',
    'tasks=[1,2]',
    'grid=[1]',
    '[[tasks]]\nn_features=3',
    '[[cell]]\nrank=1',
    '[[grid]]\nx=[1]',
    '[tasks]\nn_features="3"\nn_samples=[9,9]',
    '[tasks]\nn_features=3.5\nn_samples=[9,9]',
    '[tasks]\nn_features=3\nn_samples=9',
    '[tasks]\nn_features=3\nn_samples="9,9"',
    '[tasks]\nn_features=3\nn_samples=["a","b"]',
    '[tasks]\nn_features=3\nn_samples=[[9],[9]]',
    '[tasks]\nn_features=3\nn_samples=[]',
    '[tasks]\nn_samples=[9,9]\nn_features=true',
)
AFTER_TASKS = (  # after TASKS
    'cosine="a"',
    'cosine=[]',
    'cosine=[[0.5]]',
    'noise={a=1}',
    'noise=nan',
    'noise=inf',
    'design=3',
    'design="spiked"',
    'design=[]',
    'design=[{kind="isotropic"}]',
    '[tasks.design]\nkind=3',
    '[tasks.design]\nkind="spiked"\ncondition_number="a"',
    '[tasks.design]\ncondition_number=[1,2]',
    '[tasks.design]\nkind="from_matrix"\nmatrix=[[1,2],[3]]',
    '[tasks.design]\nkind="from_matrix"\nmatrix="none.npy"',
    '[tasks.design]\nkind="from_matrix"\nmatrix=3',
    '[tasks.design]\nkind="from_matrix"\nmatrix=[["a"]]',
    '[tasks.design]\nkind="power_law"\nexponent={a=1}',
    'rows=3',
    'rows=["gaussian"]',
    'order=1',
    'relation=[]',
    'shared_covariates="yes"',
    'family=3',
    'family="relu"\nlabels="x"',
    'family="classification"\nflip="a"',
    'amplitude=2.0',
    'family="relu"\namplitude="x"',
    'family="classification"\nlabels=3',
    '[cell]\nrank="1"',
    '[cell]\nrank=1.5',
    '[cell]\nrank=true',
    '[cell]\ntarget="a"',
    '[cell]\ntarget=0.5',
    '[cell]\nweights="a"',
    '[cell]\nweights=[1,2,3]',
    '[cell]\nweights=[[1,2]]',
    '[cell]\nweights={a=1}',
    '[cell]\nridge="a"',
    '[cell]\nridge=[1]',
    '[cell]\nridge=nan',
    '[cell]\nsharing=3',
    '[cell]\nsharing={name="hard",certify="no"}',
    '[cell]\nsharing=["hard"]',
    '[cell]\nsharing={}',
    '[cell]\nsharing={strength=1}',
    '[cell]\nsharing={name=3}',
    '[cell]\nsharing={name="soft",strngth=1}',
    '[cell]\nsharing={name="soft",strength="a"}',
    '[cell]\nsharing={name="soft",strength=[1,2]}',
    '[cell]\nsharing={name="multilinear",covariance=3}',
    '[cell]\nsharing={name="multilinear",covariance="a"}',
    '[cell]\nsharing={name="multilinear",covariance=[[1,2],[3]]}',
    '[cell]\nsharing={name="branched",groups="ab"}',
    '[cell]\nsharing={name="branched",groups=[0]}',
    '[cell]\nsharing={name="cross-stitch",learned="no"}',
    '[cell]\nsharing={name="cross-stitch",rate="a"}',
    '[cell]\nsharing={name="sluice",mixture=3}',
    '[cell]\nkind=3',
    '[cell]\nkind=["transfer"]',
    '[cell]\nloss=3',
    '[cell]\nloss="hinge"',
    '[cell]\ntraining=3',
    '[cell]\ntraining={n_steps=3}',
    '[cell]\nkind="weighting"\ntraining={n_stepss=3}',
    '[cell]\nkind="weighting"\ntraining={n_steps="a"}',
    '[cell]\nkind="weighting"\ntraining={optimiser="x"}',
    '[cell]\nkind="weighting"\ntraining="adam"',
    '[cell]\nkind="weighting"\nscheme=3',
    '[cell]\nscheme=["equal"]',
    '[cell]\nscheme={name="equal"}',
    '[cell]\nkind="population"\ntraining={a=1}',
    '[cell]\nkind="alignment"\nmode=3',
    '[cell]\nkind="training-curve"\nn_points="a"',
    '[cell]\nkind="training-curve"\nn_points=1.5',
    '[cell]\nkind="training-curve"\npopulation="x"',
    '[cell]\nkind="training-curve"\nsharing={name="cross-stitch"}\nweights=["a","b"]',
    '[cell]\nmethod=3',
    '[cell]\nmethod="pooled"',
    '[cell]\nkind="decomposition"\nrank="x"',
    '[cell]\nkind="weighting"\nn_records="a"',
    '[grid]\nx=[1]',
    '[grid]\n"tasks.noise"=3',
    '[grid]\n"tasks.noise"=[]',
    '[grid]\n"tasks.noise"=["a"]',
    '[grid]\n"tasks.noise"=[[1,2]]',
    '[grid]\n"tasks.noise"=[1,"a"]',
    '[grid]\n"tasks.noise"={from=1,to=2,count="a"}',
    '[grid]\n"tasks.noise"={from=1,to=2,count=true}',
    '[grid]\n"tasks.noise"={from=true,to=2,count=3}',
    '[grid]\n"tasks.noise"={from=1,to=2,count=3,whole="yes"}',
    '[grid]\n"tasks.noise"={from=1,to=2,count=3,spacing=3}',
    '[grid]\n"tasks.noise"=[{a=1}]',
    '[grid]\nsharing=[3]',
    '[grid]\nsharing=["nope"]',
    '[grid]\nsharing=[{name="soft",strngth=1}]',
    '[grid]\nsharing=[{strength=1}]',
    '[grid]\nsharing=["hard",{name="hard"}]',
    '[grid]\nsharing=["soft(2)"]',
    '[grid]\nsharing=["soft(strength=2"]',
    '[grid]\nsharing=["soft(strength=print())"]',
    '[grid]\nsharing=[["soft"]]',
    '[cell]\nsharing="soft(strength=-1)"',
    '[grid]\n"tasks.n_samples[x]"=[1]',
    '[grid]\n"tasks.n_samples[7]"=[1]',
    '[grid]\n"tasks.noise"=[nan]',
    '[grid]\n"tasks.noise"=[1979-05-27]',
    '[grid]\nrank=["a"]',
    '[grid]\nrank=[1.5]',
    '[grid]\n""=[1]',
    '[grid]\n"tasks."=[1]',
    '[grid]\ntasks.noise=[1,2]',
    '[sweep]\nn_seeds="a"',
    '[sweep]\nn_seeds=1.5',
    '[sweep]\nn_seeds=0',
    '[sweep]\nseed="a"',
    '[sweep]\nseed=1.5',
    '[sweep]\nseed=-1',
    '[sweep]\nseed=99999999999999999999',
    '[sweep]\nbudget="a"',
    '[sweep]\nbudget=0',
    '[sweep]\nlevel="a"',
    '[sweep]\nlevel=2',
    '[sweep]\nkeep=3',
    '[sweep]\nkeep="x"',
    '[sweep]\nchunk_draws="a"',
    '[sweep]\nchunk_draws=0',
    '[sweep]\nn_seeds=[1]',
    'noise=1979-05-27',
    '[cell]\nrank=1979-05-27',
)
# fmt: on
TASKS = "[tasks]\nn_features=3\nn_samples=[9,9]\n"
MALFORMED = (*WHOLE, *(TASKS + text for text in AFTER_TASKS))

SENTENCE = re.compile(r"must be .*(, but is |, but: |, but \S* is not ).*[;?(]", re.S)


def ends(text: str, path: Path) -> str:
    """What the file ends in."""
    import jax

    from mtlsim.configuration import read, sweep_arguments
    from mtlsim.results.settings import facts
    from mtlsim.sweeps.job import make_job

    path.write_text(text)
    try:
        arguments, options = sweep_arguments(read(path))
        make_job(*arguments, facts(jax.local_devices()), 1, **options)
    except ValueError as error:
        return "a sentence" if SENTENCE.search(str(error)) else f"ValueError: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = {text: ends(text, Path(folder) / "a.toml") for text in MALFORMED}
    others = {text: end for text, end in found.items() if end != "a sentence"}
    print(f"{len(others)} of {len(found)} end otherwise", *others.items(), sep="\n")
