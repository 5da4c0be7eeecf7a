"""Verdicts of all statements over several random seeds, in the sizes of `mtlsim verify --fast` or in full.

    python tests/benchmarks/verdicts.py --seeds 0 1 2 3 4 5 6 7 8 9            # fast: no verdict may be unexpected
    python tests/benchmarks/verdicts.py --full --seeds 0                       # 50 instances x 2000 draws, for a night

prints each verdict that is not the expected one with what it lacks, then per seed the wall and processor time, and how many looks
and draws each statement took at most. Ends with status 1 if a verdict was unexpected.
"""

import argparse
import os
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from smoke import sized

from mtlsim.launcher import prepare


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--names", nargs="*", default=sized([], ["similarity-invariance"]))
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    prepare()
    from mtlsim.verification.finding import family_wise
    from mtlsim.verification.run import verify

    surprises, looks = 0, {}
    for seed in options.seeds:
        wall, processor = time.perf_counter(), time.process_time()
        findings = verify(options.names, seed=seed, fast=not options.full)
        for finding in findings:
            name = finding.statement.name
            looks[name] = max(looks.get(name, (0, 0)), (finding.looks, finding.n_seeds))
            if not finding.as_expected:
                surprises += 1
                print(f"seed {seed}: {finding}", flush=True)
        spent = f"{time.perf_counter() - wall:.0f} s on the wall, {time.process_time() - processor:.0f} s of processors"
        print(f"seed {seed}: {len(findings)} statements, {spent}; {family_wise(findings)}", flush=True)
    for name, (most, n_seeds) in sorted(looks.items(), key=lambda item: item[1], reverse=True):
        print(f"{name}: at most {most} looks, {n_seeds} draws per instance")
    print(f"{surprises} unexpected verdicts over {len(options.seeds)} seeds")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
