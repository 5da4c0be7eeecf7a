"""The command line. Every command checks its input before it loads jax, so that --help and mistakes answer at once."""

import os
import sys
from typing import Annotated

import tyro
from tyro.conf import subcommand

from mtlsim.commands.api import Api
from mtlsim.commands.claims import Cite, Doctor, Glossary, Verify
from mtlsim.commands.data import Compare, Score, Transfer, Weights
from mtlsim.commands.figures import Figure, List, Plot
from mtlsim.commands.own import Check, Counterexample, ExplainCell, New
from mtlsim.commands.pages import Explainer, Explore
from mtlsim.commands.sweeps import Estimate, Explain, Merge, Status, Sweep
from mtlsim.launcher import prepare

Command = (
    Annotated[Figure, subcommand("figure")]
    | Annotated[Plot, subcommand("plot")]
    | Annotated[Explore, subcommand("explore")]
    | Annotated[Explainer, subcommand("explainer")]
    | Annotated[Sweep, subcommand("sweep")]
    | Annotated[Estimate, subcommand("estimate")]
    | Annotated[Status, subcommand("status")]
    | Annotated[Merge, subcommand("merge")]
    | Annotated[Transfer, subcommand("transfer")]
    | Annotated[Compare, subcommand("compare")]
    | Annotated[Weights, subcommand("weights")]
    | Annotated[Score, subcommand("score")]
    | Annotated[Verify, subcommand("verify")]
    | Annotated[Counterexample, subcommand("counterexample")]
    | Annotated[ExplainCell, subcommand("explain-cell")]
    | Annotated[New, subcommand("new")]
    | Annotated[Check, subcommand("check")]
    | Annotated[Explain, subcommand("explain")]
    | Annotated[List, subcommand("list")]
    | Annotated[Glossary, subcommand("glossary")]
    | Annotated[Cite, subcommand("cite")]
    | Annotated[Api, subcommand("api")]
    | Annotated[Doctor, subcommand("doctor")]
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 fine, 1 a check failed, 2 bad input (one sentence on stderr), 130 interrupted."""
    prepare()
    description = "mtlsim: when does learning tasks together help, and when does it hurt?"
    command = tyro.cli(Command, prog="mtlsim", description=description, args=arguments)
    try:
        return command.run()
    except ValueError as error:
        print(f"mtlsim: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        from mtlsim.sweeps.schedule import Incomplete

        if not isinstance(error, Incomplete):
            raise
        print(f"mtlsim: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        print(f"mtlsim: {str(error.filename)[:80]!r} cannot be used ({error.strerror}); choose another path.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mtlsim: interrupted; finished chunks are kept, and the same command goes on from there.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
