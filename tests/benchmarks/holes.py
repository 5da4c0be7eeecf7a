"""Search statements for cells inside their assumptions where they are false: `python tests/benchmarks/holes.py [NAME ...]`.

Options: --cells, --seeds, --seed, --show (print the cells found).
"""

import argparse

import jax
from smoke import SMOKE, sized

jax.config.update("jax_enable_x64", True)

from mtlsim.theory import find_statement, statement_names  # noqa: E402
from mtlsim.verification.holes import search_holes  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    for option, default in (("--cells", sized(400, 8)), ("--seeds", sized(100, 20)), ("--seed", 0)):
        parser.add_argument(option, type=int, default=default)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    total = [0, 0]
    for name in options.names or (["data-amplification"] if SMOKE else statement_names()):
        statement = find_statement(name)
        if statement.expected != "confirmed":
            continue
        found = search_holes(statement, options.cells, options.seeds, options.seed)
        print(found, flush=True)
        for hole in found.holes if options.show else ():
            print(f"   {hole}, margin {hole.margin:.3g}\n      {hole.instance}", flush=True)
        total = [total[0] + found.n_inside, total[1] + len({id(hole.instance) for hole in found.holes})]
    print(f"in all: {total[1]} holes in {total[0]} cells inside the assumptions")


if __name__ == "__main__":
    main()
