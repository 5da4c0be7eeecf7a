"""Every text that tells a reader what to type: the READMEs, and the docstrings of the packages, which are the API pages."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {
    path: path.read_text() for path in (ROOT / name for name in ("README.md", "notebooks/README.md", "tests/benchmarks/README.md"))
}
DOCUMENTS = PAGES | {
    path: ast.get_docstring(ast.parse(path.read_text())) or "" for path in sorted((ROOT / "mtlsim").rglob("__init__.py"))
}


def fences(language: str) -> list[str]:
    """The fenced blocks of that language, of all documents."""
    return [block for text in DOCUMENTS.values() for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)]


def inline(text: str) -> list[str]:
    """What stands between single backticks outside of fenced blocks, also where a line ends within."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", plain)]
