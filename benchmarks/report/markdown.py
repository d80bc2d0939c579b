"""Markdown that GitHub renders: text made safe, tables, and numbers as readers want them."""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal

DASH = "–"
_MARKUP = re.compile(r"([\\`*_~|$#])|(?<=\])([(\[:])")


def escape(text: str, longest: int = 600) -> str:
    """Text of someone else's, made to stand for itself inside a table or a sentence.

    Line breaks and control characters become spaces; more than ``longest`` characters are cut off
    with an ellipsis.
    """
    text = _plain(text)
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return _MARKUP.sub(r"\\\g<0>", html.escape(text, quote=False))


def escape_html(text: str) -> str:
    """The same for text inside HTML tags, where Markdown is not read."""
    return html.escape(_plain(text))


def _plain(text: str) -> str:
    """One line without control characters or marks that turn the direction of the text around."""
    spaced = "".join(" " if _unprintable(letter) else letter for letter in text)
    return " ".join(spaced.split())


def _unprintable(letter: str) -> bool:
    # Zero-width joiners are of category Cf too, but many scripts need them.
    return unicodedata.category(letter) == "Cc" or letter in "\u202a\u202b\u202c\u202d\u202e\ufeff"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, align: str = "lr") -> str:
    """A Markdown table.

    ``align`` has an ``l`` (left) or ``r`` (right) for each column; the last letter holds for all
    that follow. Cells are Markdown already: escape what others wrote.
    """
    letters = align.ljust(len(header), align[-1])
    lines = [header, ["--:" if letters[i] == "r" else ":--" for i in range(len(header))]]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells in a table of {len(header)} columns")
        lines.append(row)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def details(summary: str, body: str, *, opened: bool = False) -> str:
    """A part that opens on a click; ``summary`` is plain text."""
    tag = "<details open>" if opened else "<details>"
    return f"{tag}\n<summary>{escape_html(summary)}</summary>\n\n{body}\n\n</details>"


def number(value: float, unit: str) -> str:
    """A number as precise as its unit deserves.

    dB to 0.1, fractions and opinions to 0.01, MiB whole; others to three digits, but not below
    0.001.
    """
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    places = {"dB": 1, "1": 2, "MOS": 2, "MiB": 0}.get(unit)
    if places is None:
        if 0 < abs(value) < 0.001:
            return "<0.001" if value > 0 else ">-0.001"
        places = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    text = f"{value:.{places}f}"
    return text[1:] if float(text) == 0 and text.startswith("-") else text


def interval(bounds: tuple[float, float] | None, unit: str) -> str:
    """`` [low, high]``, or nothing."""
    return f" [{number(bounds[0], unit)}, {number(bounds[1], unit)}]" if bounds else ""


def percent(share: float) -> str:
    """A share as whole percent."""
    if math.isinf(share):
        return "∞" if share > 0 else "-∞"
    return f"{round(100 * share)} %"


def emphasis(text: str, mark: Literal["", "*", "**"]) -> str:
    """Text in italics (one star) or bold (two)."""
    return f"{mark}{text}{mark}"


def listed(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def counted(count: int, noun: str) -> str:
    """``1 clip``, ``4 clips``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
