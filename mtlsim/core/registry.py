"""One file per thing: a package's modules are its registry, so that a new scheme, statement or experiment is one new file.

A user's own file joins it when it is named, as "my_file.py", "my_file.py:NAME" or by `use`, a module of an installed package where
that names it as an entry point ([project.entry-points.mtlsim] any-name = "package.module"): what it calls STATEMENT, EXPERIMENT,
SHARING or SCHEME then stands beside ours. Files are run, so that only those are that a user names, never one that a result holds.
"""

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from mtlsim.core.checks import as_path, nearest, require, require_choice
from mtlsim.core.words import with_article

OWN = "mtlsim_own"  # where the modules of users' files live
KINDS = {  # and where ours of them are
    "STATEMENT": "mtlsim.theory.statements",
    "EXPERIMENT": "mtlsim.experiments",
    "MECHANISM": "mtlsim.mechanisms",
    "SHARING": "mtlsim.sharing",
    "SCHEME": "mtlsim.weighting",
}
NAMED = re.compile(r"(.*\.py)(?::(\w+))?")  # a user's file, and what of it


class OwnFile(NamedTuple):
    """A user's file as it was read: its text, the SHA-256 of it, and the module that it became."""

    path: Path
    text: str
    sha256: str
    module: ModuleType


_files: dict[Path, OwnFile] = {}
_things: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
_owners: dict[int, OwnFile] = {}


def use(path: Path | str) -> list[str]:
    """Let the things of a user's file, or of every .py file in a folder, join the registry; returns their names.

    Raises ValueError in one sentence for a file that cannot be run, and where there is no thing at all.

    >>> from pathlib import Path
    >>> from mtlsim.commands.own import New
    >>> _ = New("scheme", "my-scheme").run()
    my_scheme.py
    >>> mtl.use("my_scheme.py")
    ['my-scheme']
    """
    path = as_path(path, "from")
    require(path.exists(), "from", "a .py file, or a folder of them", f"{path}, which is not there", "check its name")
    files = sorted(file for file in path.glob("*.py") if not file.name.startswith("_")) if path.is_dir() else [path]
    require(len(files) > 0, "from", "a .py file, or a folder of them", f"{path}, a folder without any", "name another")
    found = []
    for file in files:
        own = open_own(file)
        found += [name for kind in KINDS for name, thing in _things[kind].items() if _module_of(thing) is own.module]
    cure = f"give it one, {' or '.join(KINDS)} = ..., as `mtlsim new` does"
    require(bool(found), "from", "a file or folder with something to use", f"{path} without any", cure)
    return found


def open_own(path: Path | str) -> OwnFile:
    """A user's file, run once for as long as its text stays the same."""
    path = Path(path).resolve()
    require(path.is_file(), "file", "a .py file that is there", f"{path.name}, which is not", "check its name and folder")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"file must be Python in UTF-8, but {path.name} cannot be read ({error}); save it again.") from None
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    if path in _files and _files[path].sha256 == sha256:
        return _files[path]
    module = ModuleType(f"{OWN}.{sha256[:12]}.{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses and type hints look for it
    sys.path.insert(0, str(path.parent))  # so that it finds its neighbours
    before = _files.get(path)
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
        if before is not None:
            _leave(_files.pop(path))
            _forget_programs()
        own = OwnFile(path, text, sha256, module)
        _join(own)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a user's code may raise, the end of the program too
        sys.modules.pop(module.__name__, None)
        if isinstance(error, ValueError) and not lines_through(error, path):
            raise  # our own sentence
        line = next((f" in line {line}" for line in lines_through(error, path)), "")
        said = f": {str(error).splitlines()[0]}" if str(error) else ""
        raise ValueError(f"file must run, but {path.name} does not{line} ({type(error).__name__}{said}); mend it.") from error
    finally:
        sys.path.remove(str(path.parent))
    _files[path] = own
    return own


def _join(own: OwnFile) -> None:
    """Put all things of a file into the registry, or none where a name is taken."""
    joining = [(kind, _name_of(one, own), one) for kind in KINDS for one in all_in(own, kind)]
    for kind, name, _ in joining:
        _require_free(kind, name, own.path)
    for kind, name, one in joining:
        _owners[id(one)], _things[kind][name] = own, one


@functools.cache
def _join_installed() -> None:
    """What installed packages bring: modules that they name as entry points of the group "mtlsim" join once, as files do."""
    for point in importlib.metadata.entry_points(group="mtlsim"):
        try:
            module = point.load()
            text = Path(module.__file__).read_text(encoding="utf-8")
            own = OwnFile(Path(module.__file__), text, hashlib.sha256(text.encode()).hexdigest(), module)
            _join(own)
        except Exception as error:
            whose = point.dist.name if point.dist is not None else point.value
            sentence = f"{point.value} of the package {whose} does not join mtlsim ({type(error).__name__}: {error})"
            warnings.warn(f"{sentence}; mend or uninstall it.", RuntimeWarning, stacklevel=2)
            continue
        _files[own.path] = own


def lines_through(error: BaseException, path: Path) -> list[int]:
    """Lines of the file that the error came through, the last first."""
    steps, step = [], error.__traceback__
    while step is not None:
        steps += [step.tb_lineno] if step.tb_frame.f_code.co_filename == str(path) else []
        step = step.tb_next
    return steps[::-1] or ([error.lineno] if isinstance(error, SyntaxError) and error.lineno else [])


def all_in(own: OwnFile, kind: str) -> tuple:
    """Every thing of a kind in a user's file: STATEMENT, and those in STATEMENTS."""
    several = getattr(own.module, f"{kind}S", ())
    right = isinstance(several, (tuple, list))
    require(
        right,
        f"{kind}S",
        "a tuple",
        f"{with_article(type(several).__name__)} in {own.path.name}",
        f"write {kind}S = (first, second)",
    )
    return (*several, *((getattr(own.module, kind),) if hasattr(own.module, kind) else ()))


def _name_of(thing: Any, own: OwnFile) -> str:
    return thing.name if isinstance(getattr(thing, "name", None), str) else own.path.stem.replace("_", "-")


def _require_free(kind: str, name: str, path: Path) -> None:
    """Refuse a name that is ours, or another file's."""
    ours = name.replace("-", "_").isidentifier() and importlib.util.find_spec(f"{KINDS[kind]}.{name.replace('-', '_')}")
    taken = _things[kind].get(name)
    whose = "one of mtlsim's" if ours else f"that of {_owners[id(taken)].path.name}" if taken is not None else ""
    require(not whose, f"{kind}'s name", "a new one", f"{name!r} in {path.name}, {whose}", "rename it")


def _module_of(thing: Any) -> ModuleType | None:
    own = _owners.get(id(thing))
    return None if own is None else own.module


def _leave(own: OwnFile) -> None:
    sys.modules.pop(own.module.__name__, None)
    for kind in KINDS:
        _things[kind] = {name: one for name, one in _things[kind].items() if _module_of(one) is not own.module}
    for known in [number for number, owner in _owners.items() if owner is own]:  # numbers of things that are gone come again
        del _owners[known]


def _forget_programs() -> None:
    """What was compiled of a file whose text is another now would go on as it was where only its name is part of a cell."""
    import jax

    jax.clear_caches()


def forget() -> None:
    """Let all things of users' files leave the registry."""
    for own in _files.values():
        sys.modules.pop(own.module.__name__, None)
    _files.clear()
    _owners.clear()
    _join_installed.cache_clear()
    for things in _things.values():
        things.clear()


def file_of(thing: Any) -> OwnFile | None:
    """The user's file that a thing, or the class of it, comes from; None for ours."""
    if id(thing) in _owners:
        return _owners[id(thing)]
    module = getattr(thing if isinstance(thing, type) or callable(thing) else type(thing), "__module__", "")
    return next((own for own in _files.values() if own.module.__name__ == module), None)


def file_of_name(name: object, kind: str) -> OwnFile | None:
    """The user's file that a word stands for, by its path or by the name of the thing in it; None for all other words."""
    if is_own(name):
        return open_own(file_and_name(name)[0])
    return _owners.get(id(_things.get(kind, {}).get(name))) if isinstance(name, str) else None


def own_thing(name: str, kind: str | None = None) -> Any:
    """What "my_file.py:NAME" names; without NAME the one of that kind in the file."""
    path, attribute = file_and_name(name)
    own = open_own(path)
    if not attribute:
        several = all_in(own, kind or "")
        found = f"{own.path.name} with {len(several)}" if several else f"{own.path.name} without"
        cure = f"write {kind} = ... in it, or name one, {own.path.name}:NAME"
        require(len(several) == 1, str(kind).lower(), f"a file with one {kind}", found, cure)
        return several[0]
    known = [name for name in vars(own.module) if not name.startswith("_")]
    require(attribute in known, "file", f"one with {attribute}", f"{own.path.name} without", nearest(attribute, known))
    return getattr(own.module, attribute)


def all_of(name: str, kind: str) -> tuple:
    """Every thing of that kind in a user's file, or the one that "my_file.py:NAME" names."""
    if file_and_name(name)[1]:
        return (own_thing(name, kind),)
    several = all_in(open_own(name), kind)
    cure = f"write {kind} = ... in it; `mtlsim new {kind.lower()} NAME` writes one that runs"
    require(bool(several), kind.lower(), f"a file with a {kind}", f"{Path(name).name} without", cure)
    return several


def is_own(name: object) -> bool:
    """Whether it names a user's file."""
    return isinstance(name, str) and NAMED.fullmatch(name) is not None


def file_and_name(name: str) -> tuple[str, str]:
    """("my_file.py", "NAME") of "my_file.py:NAME"; the second is empty where only a file is named."""
    match = NAMED.fullmatch(name)
    require(match is not None, "file", "named FILE.py or FILE.py:NAME", repr(name), "write my_file.py")
    return match[1], match[2] or ""


def names(package: ModuleType, kind: str | None = None) -> list[str]:
    """Names of everything registered in a package: its public modules, spelled with hyphens; and users' own things of that kind."""
    if kind in KINDS:
        _join_installed()
    ours = [module.name.replace("_", "-") for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")]
    return sorted({*ours, *(_things[kind] if kind else ())})


def own_words(kind: str) -> str:
    """How a message ends about a name that is none of ours."""
    return f"; or a file of your own, such as my_{kind}.py"


def find(package: ModuleType, name: str, attribute: str) -> Any:
    """The thing called `name`: the given attribute of its module, or a user's own, by its name or that of its file.

    Raises ValueError with the nearest name if there is none.
    """
    if is_own(name):
        return own_thing(name, attribute)
    name = name.replace("_", "-") if isinstance(name, str) else name
    kind = attribute if attribute in KINDS else None
    require_choice(name, names(package, kind), attribute.lower(), own_words(attribute.lower()) if kind else "")
    if kind and name in _things[kind]:
        return _things[kind][name]
    return getattr(importlib.import_module(f"{package.__name__}.{name.replace('-', '_')}"), attribute)
