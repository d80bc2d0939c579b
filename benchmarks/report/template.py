"""Pages of Markdown: made from the templates beside this file, and written."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from benchmarks.ledger import write_file


def render(name: str, context: dict[str, Any]) -> str:
    """A page of Markdown from a template and what it asks for; nothing may be missing.

    Args:
        name: of a file beside this one, such as ``leaderboard.md.jinja``.
        context: every value that the template uses.
    """
    import jinja2

    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False
    )
    source = files("benchmarks.report").joinpath(name).read_text(encoding="utf-8")
    text = environment.from_string(source).render(context)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        UserError: there is a folder of that name, or a file where a folder should be.
    """
    try:
        write_file(path, text.encode())
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        what = "folder" if path.is_dir() else "file"
        raise UserError(f"{path} cannot be written: a {what} is in the way.") from error
