"""One file per thing: a package's modules are its registry, so that a new scheme, statement or experiment is one new file."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any

from mtlsim.core.checks import require_choice


def names(package: ModuleType) -> list[str]:
    """Names of everything registered in a package: its public modules, spelled with hyphens."""
    return sorted(
        module.name.replace("_", "-") for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")
    )


def find(package: ModuleType, name: str, attribute: str) -> Any:
    """The thing called `name`: the given attribute of its module. Raises ValueError with the nearest name if there is none."""
    require_choice(name.replace("_", "-") if isinstance(name, str) else name, names(package), attribute.lower())
    return getattr(importlib.import_module(f"{package.__name__}.{name.replace('-', '_')}"), attribute)
