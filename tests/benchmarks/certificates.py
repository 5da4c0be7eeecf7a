"""A search for certificates that lie: adversarial pairs against a dense scan of their rows.

    python tests/benchmarks/certificates.py [PAIRS] [SEED]

Prints for every way in which moments come, by the condition of the rows, how many optima are certified exact, how many of these
are wrong, how many intervals miss, and how many are flagged; then the same of more tasks and of
architectures. Ends with status 1 where one lies.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from smoke import sized

from mtlsim.launcher import prepare

prepare()

from judged import HOW, KINDS, judge_pairs, table  # noqa: E402
from judged_sharings import judge_sharings  # noqa: E402
from judged_tasks import judge_tasks  # noqa: E402

if __name__ == "__main__":
    n_pairs = int(sys.argv[1]) if len(sys.argv) > 1 else sized(2000, 28)
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    lies = 0
    for kind in KINDS:
        judged = judge_pairs(kind, n_pairs if kind == "rows" else max(1, n_pairs // 4), seed)
        print(f"\n{HOW[kind]}: {len(judged)} pairs")
        print(table(judged))
        lies += sum(one.wrong or one.missed for one in judged)
    judged = judge_tasks(max(1, n_pairs // 50), seed)
    print(f"\nthree to six tasks on one direction: {len(judged)} sets")
    print(table(judged))
    lies += sum(one.wrong or one.missed for one in judged)
    for name, judged in judge_sharings(max(3, n_pairs // 4), seed).items():
        print(f"\n{name}: {len(judged)} pairs")
        print(table(judged))
        lies += sum(one.wrong or one.missed for one in judged)
    print(f"\n{lies} lie" if lies else "\nnone lies")
    sys.exit(1 if lies else 0)
