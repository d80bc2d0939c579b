"""Sources: the text of the harness's own code, for the keys by which finished work is found."""

from __future__ import annotations

import ast
import functools
from pathlib import Path


def source_texts(*modules: str) -> dict[str, str]:
    """The text of each file of these modules, by its name; a package is all the files in it.

    Args:
        modules: the ``__file__`` of each.
    """
    return {name: text for module in modules for name, text in _texts(Path(module)).items()}


def _texts(module: Path) -> dict[str, str]:
    package = module.parent if module.name == "__init__.py" else None
    files = sorted(package.rglob("*.py")) if package else [module]
    root = (package or module).parent
    return {file.relative_to(root).as_posix(): file.read_text(encoding="utf-8") for file in files}


def files_behind(source: Path) -> list[Path]:
    """A plugin's file, and every file of its own folder that it imports, at first or second hand.

    Another file beside it does not matter to what the plugin does, and is not among them.
    """
    found, to_read = {source}, [source]
    while to_read:
        file = to_read.pop()
        beside = {file.with_name(f"{name}.py") for name in _imported_names(file.read_bytes())}
        new = {path for path in beside - found if path.is_file()}
        found |= new
        to_read += new
    return sorted(found)


@functools.lru_cache(maxsize=256)
def _imported_names(text: bytes) -> frozenset[str]:
    """Every name between dots in the imports of a file: some of them are modules."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            dotted = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom) and node.module:
                dotted.append(node.module)
            found.update(part for name in dotted for part in name.split("."))
    return frozenset(found - {"__init__"})
