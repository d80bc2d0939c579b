"""Sources: the text of the harness's own code, for the keys by which finished work is found."""

from __future__ import annotations

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
