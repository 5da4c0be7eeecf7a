"""Search statements for cells inside their assumptions where they are false: `python tests/benchmarks/holes.py [NAME ...]`.

Options: --cells, --seeds, --seed, --show (print the cells found).
"""

import argparse

import jax
from smoke import SMOKE, sized

from mtlsim.verification.holes import search_all

jax.config.update("jax_enable_x64", True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=["data-amplification"] if SMOKE else [])
    for option, default in (("--cells", sized(400, 8)), ("--seeds", sized(100, 20)), ("--seed", 0)):
        parser.add_argument(option, type=int, default=default)
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    search_all(options.names, options.cells, options.seeds, options.seed, options.show)


if __name__ == "__main__":
    main()
