"""What changed between two runs: versions, weights, sources, settings, options of methods."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.runs import Run

# Of the run itself, not of what its numbers were made with.
_OWN = ("started", "command", "seconds", "cells computed", "cells reused", "workers", "estimates")
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not the same in both runs; empty text where a run does not have it."""

    part: str
    what: str
    a: str
    b: str


def changes(a: Run, b: Run) -> tuple[Change, ...]:
    """All that differs between the receipts, and between the options of the methods."""
    found: list[Change] = []
    if a.record and b.record:
        ones, others = _flat(a.record), _flat(b.record)
        found += _differing(ones, others)
    return (*found, *_options(a, b))


def computed_otherwise(a: Run, b: Run, column: str) -> tuple[str, ...]:
    """Methods or metrics whose keys differ: something that goes into their results changed.

    Args:
        a: the one run.
        b: the other.
        column: ``method`` or ``metric``.
    """
    keys_a, keys_b = _keys(a, column), _keys(b, column)
    return tuple(
        name for name in keys_a if name in keys_b and keys_a[name].isdisjoint(keys_b[name])
    )


def _differing(
    ones: Mapping[tuple[str, str], str], others: Mapping[tuple[str, str], str]
) -> list[Change]:
    parts = list(dict.fromkeys(part for part, _ in (*ones, *others)))
    names = sorted(dict.fromkeys([*ones, *others]), key=lambda name: parts.index(name[0]))
    return [
        Change(*name, ones.get(name, ""), others.get(name, ""))
        for name in names
        if ones.get(name, "") != others.get(name, "")
    ]


def _flat(record: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Part and name to text, with hashes cut short."""
    flat: dict[tuple[str, str], str] = {}
    for part, value in record.items():
        if part not in _OWN:
            own = _leaves(value) if isinstance(value, Mapping) else {"": _text(value)}
            flat |= {(part, name): text for name, text in own.items()}
    return flat


def _leaves(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        found |= _leaves(value, f"{name}/") if isinstance(value, Mapping) else {name: _text(value)}
    return found


def _text(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text[:12] if _HASH.fullmatch(text) else text


def _options(a: Run, b: Run) -> list[Change]:
    """Options of the methods that both have."""
    ones, others = _options_of(a), _options_of(b)
    found = []
    for method in (method for method in ones if method in others):
        pairs = ({("options", f"{method}.{name}"): _text(value) for name, value in side.items()}
                 for side in (ones[method], others[method]))  # fmt: skip
        found += _differing(*pairs)
    return found


def _options_of(run: Run) -> dict[str, dict[str, Any]]:
    known = run.rows[["method", "options"]].dropna().drop_duplicates("method").sort_values("method")
    return {method: _parsed(text) for method, text in known.itertuples(index=False)}


def _parsed(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    return options if isinstance(options, dict) else {"options": text}


def _keys(run: Run, column: str) -> dict[str, set[str]]:
    known = run.rows[[column, f"{column}_key"]].dropna().drop_duplicates()
    found: dict[str, set[str]] = {}
    for name, key in known.itertuples(index=False):
        if name and key:
            found.setdefault(name, set()).add(key)
    return found
