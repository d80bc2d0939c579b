"""File names: as ffmpeg reads them, as people read them, and which not to write to."""

from __future__ import annotations

from pathlib import Path

from benchmarks.errors import UserError


def refuse_overwriting(out: Path, *inputs: Path) -> None:
    """Raise UserError when writing ``out`` would destroy a file that is read from."""
    for given in inputs:
        if out.exists() and given.exists() and out.samefile(given):
            raise UserError(f"{shown(out)} would overwrite its own input: choose another name")


def url(path: Path) -> str:
    """A file's name as ffmpeg can take for nothing but a file."""
    return f"file:{path.absolute()}"


def shown(path: Path) -> str:
    """A file's name as it can stand in one line of text."""
    text = str(path)
    return text if text.isprintable() else ascii(text)[1:-1]
