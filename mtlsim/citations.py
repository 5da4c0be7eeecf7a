"""The references behind the code: docstrings name keys of `references.bib` in square brackets, and `cite` finds them."""

import ast
import importlib
import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import mtlsim
from mtlsim.core.checks import nearest

ROOMS = ("theory.statements", "experiments", "mechanisms", "sharing", "weighting")  # of what `mtlsim list` lists
KEY = re.compile(r"\[([a-z]+[0-9]{4}[a-z]*)\]")
ENTRY = re.compile(r"^@\w+\{([^,\s]+),.*?^\}$", re.MULTILINE | re.DOTALL)


def bibliography() -> dict[str, str]:
    """Every entry by its key: the project's own first, then those of `references.bib`."""
    project = (
        "@software{mtlsim,\n"
        "  author  = {{The mtlsim authors}},\n"
        "  title   = {mtlsim: exact simulation and theory of information transfer in multi-task learning},\n"
        f"  version = {{{mtlsim.__version__}}},\n"
        "}"
    )
    text = Path(__file__).with_name("references.bib").read_text(encoding="utf-8")
    return {"mtlsim": project} | {entry[1]: entry[0] for entry in ENTRY.finditer(text)}


def cite(thing: object = None) -> str:
    """BibTeX entries of a key, of a public name, of what an object's docstring names, or (None) of the project and all.

    A class is cited with its methods, a module with all it defines, and everything with its module's own docstring. Raises
    ValueError for an unknown key (with the nearest one) and for an object whose docstrings name none.

    >>> print(mtl.cite("wu2020understanding").splitlines()[0])
    @inproceedings{wu2020understanding,
    """
    entries = bibliography()
    if thing is None:
        return "\n\n".join(entries.values())
    if isinstance(thing, str):
        if thing in entries:
            return entries[thing]
        thing = getattr(mtlsim, thing) if thing in mtlsim.__all__ else _listed(thing) or thing
        if isinstance(thing, str):
            choices = nearest(thing, [*entries, *mtlsim.__all__])
            raise ValueError(
                f"thing must be a key of references.bib, a public name, or a name in `mtlsim list`, but is {thing!r}; {choices}."
            )
    keys = _keys_of(thing)
    if not keys:
        raise ValueError(
            f"thing must be a key or an object whose docstring names one in square brackets, but is {_named(thing)}, "
            "whose docstrings name none; use None for the project and all its references."
        )
    missing = [key for key in keys if key not in entries]
    if missing:
        raise ValueError(f"references.bib must hold every key that a docstring names, but lacks {', '.join(missing)}; add it.")
    return "\n\n".join(entries[key] for key in keys)


def keys_in_docstrings(source: str) -> list[str]:
    """The keys that the docstrings of some Python source name, in the order of their first mention."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return list(dict.fromkeys(key for text in texts for key in KEY.findall(text)))


def _listed(name: str) -> ModuleType | None:
    """The module of a statement, figure, mechanism, architecture or scheme of ours."""
    plain = name.replace("-", "_")
    rooms = (room for room in ROOMS if plain.isidentifier() and not plain.startswith("_"))
    found = next((room for room in rooms if importlib.util.find_spec(f"mtlsim.{room}.{plain}")), None)
    return None if found is None else importlib.import_module(f"mtlsim.{found}.{plain}")


def _keys_of(thing: object) -> list[str]:
    if isinstance(thing, ModuleType):
        named = getattr(thing, "STATEMENT", getattr(thing, "MECHANISM", None))
        sources = [key for key in getattr(named, "source", ()) if KEY.fullmatch(f"[{key}]")]
        return list(dict.fromkeys([*sources, *keys_in_docstrings(inspect.getsource(thing))]))
    thing = thing if isinstance(thing, type) or hasattr(thing, "__qualname__") else type(thing)
    texts = [inspect.getdoc(thing) or ""]
    if isinstance(thing, type):
        texts += [inspect.getdoc(member) or "" for member in vars(thing).values()]
    if (thing.__module__ or "").split(".")[0] == "mtlsim":
        texts.append(importlib.import_module(thing.__module__).__doc__ or "")
    return list(dict.fromkeys(key for text in texts for key in KEY.findall(text)))


def _named(thing: object) -> str:
    return getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None) or type(thing).__qualname__
