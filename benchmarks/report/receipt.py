"""The receipt: what a number was made with, so that it can be made again."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report.markdown import details, escape, table

if TYPE_CHECKING:
    import pandas as pd

PROJECT = "sepbench"


def receipt(
    *,
    command: Sequence[str],
    started: str,
    seeds: Mapping[str, int],
    weights: Mapping[str, Mapping[str, str]],
    sources: Mapping[str, str],
    cells_computed: int,
    cells_reused: int,
    packages: Iterable[str] = (),
    **more: Any,
) -> dict[str, Any]:
    """Gather what a run was made with; the result can be written as JSON.

    Args:
        command: the command line, word by word.
        started: date and time, ISO 8601.
        seeds: by what they seed.
        weights: SHA-256 of each file of each asset that was used.
        sources: SHA-256 of the source of each method, metric and judge.
        cells_computed: how many (method, clip) cells this run separated.
        cells_reused: how many it found in the ledger.
        packages: distributions to give versions of, beside the project's own dependencies.
        more: anything else to put on the receipt (workers, time limit, options).
    """
    return {
        "started": started,
        "command": shlex.join(command),
        "cells computed": cells_computed,
        "cells reused": cells_reused,
        **more,
        "seeds": dict(seeds),
        "hardware": hardware(),
        "versions": versions(packages),
        "weights": {name: dict(files) for name, files in weights.items()},
        "sources": dict(sources),
    }


def hardware() -> dict[str, str]:
    """Processor, cores, memory and operating system, as far as the machine tells."""
    import psutil

    physical = psutil.cpu_count(logical=False)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": f"{physical or 'unknown'} physical, {os.cpu_count()} logical, {usable} usable",
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": platform.platform(),
    }


def versions(packages: Iterable[str] = ()) -> dict[str, str]:
    """Versions of Python, of this project, of its dependencies and of other distributions."""
    required = importlib.metadata.requires(PROJECT) or []
    own = (re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in required if "extra ==" not in line)
    names = sorted({*own, *packages}, key=str.lower)
    found = {name: importlib.metadata.version(name) for name in names}
    return {
        "python": platform.python_version(),
        PROJECT: importlib.metadata.version(PROJECT),
        **found,
    }


def receipt_sections(given: Mapping[str, Any], rows: pd.DataFrame) -> str:
    """The receipt as parts that open: what was given, and the clips and methods of the rows.

    ``given`` may be any record of a run; its mappings become parts of their own.
    """
    single = {key: value for key, value in given.items() if not isinstance(value, Mapping)}
    parts = [details("Run", _pairs(single))] if single else []
    for name, value in given.items():
        if isinstance(value, Mapping) and value and name != "clips":
            parts.append(details(str(name).capitalize(), _pairs(_flat(value))))
    return "\n\n".join([*parts, details("Clips", _clips(rows)), details("Methods", _methods(rows))])


def _processor() -> str:
    """The model's name: /proc has it on Linux, where ``platform`` says only "x86_64"."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), flags=re.MULTILINE)
        if named:
            return named.group(1)
    return platform.processor() or platform.machine()


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with names joined by a slash."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name} / ") if isinstance(value, Mapping) else {name: value}
    return flat


def _pairs(values: Mapping[str, Any]) -> str:
    texts = {str(key): _text(value) for key, value in values.items()}
    rows = [[escape(key), escape(text)] for key, text in texts.items() if text]
    return table(["what", "value"], rows, align="l")


def _text(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(one) for one in value)
    return str(value)


def _clips(rows: pd.DataFrame) -> str:
    known = rows[rows["clip_sha256"].fillna("") != ""]
    own = known[["scenario", "clip", "clip_sha256"]].drop_duplicates().sort_values("clip")
    cells = [[escape(str(cell)) for cell in row] for row in own.itertuples(index=False)]
    return table(["scenario", "clip", "SHA-256 of its sound"], cells, align="l")


def _methods(rows: pd.DataFrame) -> str:
    own = rows[["method", "family", "options"]].drop_duplicates().sort_values("method")
    cells = [[escape(str(cell)) for cell in row] for row in own.itertuples(index=False)]
    return table(["method", "family", "options"], cells, align="l")
