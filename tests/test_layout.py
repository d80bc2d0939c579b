"""The layout is the data flow, and these tests guard it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What a plugin may import of the harness: the contract, the safe way to read its weights, and the
# landmarks, by which a metric and the library must know a song in the same way; and what a method
# hands over so that it can be trained.
OPEN_TO_PLUGINS = {
    "benchmarks.contract",
    "benchmarks.assets",
    "benchmarks.landmarks",
    "benchmarks.learning",
}
# Each room may use those to its left.
FLOW = (
    ("errors", "contract", "learning", "options", "sources"),
    ("media", "downloads", "catalogue", "checkpoints", "assets", "landmarks"),
    ("layouts",),
    ("registry", "separation"),
    ("recipe",),
    ("scene", "card"),
    ("building",),
    ("entries", "folders", "suite"),
    (
        "ledger",
        "plan",
        "scoring",
        "guards",
        "pauses",
        "on_worker",
        "rows",
        "workers",
        "fingerprints",
    ),
    ("cells", "hearing", "runner"),
    ("intervals", "summary", "significance"),
    ("report",),
    (
        "console",
        "own_files",
        "benchmark",
        "verify",
        "doctor",
        "identify",
        "runs",
        "comparison",
        "leaderboard",
        "training",
        "importing",
    ),
    ("cli_import", "cli_training"),
    ("cli",),
)


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files_in(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", ["methods", "metrics"])
def test_plugins_import_the_contract_and_their_own_folder_only(folder: str) -> None:
    for path in files_in(folder):
        for name in imports_of(path):
            room = name.split(".")[0]
            assert room not in {"methods", "metrics", "tests"} - {folder}, f"{path} imports {name}"
            if room == "benchmarks" and name != "benchmarks":
                assert any(name == allowed or name.startswith(f"{allowed}.")
                           for allowed in OPEN_TO_PLUGINS), f"{path} imports {name}"  # fmt: skip


def test_the_harness_names_no_plugin() -> None:
    """Adding a file to methods/ or metrics/ changes no list, since the harness has none."""
    for path in files_in("benchmarks"):
        if "perf" in path.parts:
            continue
        for name in imports_of(path):
            assert not name.startswith("methods."), f"{path} imports {name}"
    allowed = {"metrics.words"}  # the report words its alignments as the metric does
    for path in files_in("benchmarks"):
        if "perf" in path.parts:
            continue
        found = {name for name in imports_of(path) if name.startswith("metrics.")}
        assert {".".join(name.split(".")[:2]) for name in found} <= allowed, f"{path}: {found}"


def test_the_harness_imports_only_towards_the_clip() -> None:
    rank = {name: place for place, names in enumerate(FLOW) for name in names}
    for path in files_in("benchmarks"):
        if "perf" in path.parts or path.name == "__init__.py":
            continue
        here = Path(path.relative_to(ROOT / "benchmarks").parts[0]).stem  # a package is one room
        assert here in rank, f"{path.name} has no place in the flow; give it one above"
        for name in imports_of(path):
            parts = name.split(".")
            if parts[0] == "benchmarks" and len(parts) > 1 and parts[1] in rank:
                assert rank[parts[1]] <= rank[here], f"{path.name} imports {name}"


def test_no_room_without_a_purpose_in_its_name() -> None:
    for folder in ("benchmarks", "methods", "metrics", "tests"):
        for path in files_in(folder):
            assert path.stem.strip("_") not in {"utils", "helpers", "common", "misc"}


def test_the_command_line_starts_without_the_heavy_packages() -> None:
    heavy = [
        "torch",
        "numba",
        "librosa",
        "matplotlib",
        "scipy",
        "pandas",
        "distributed",
        "faster_whisper",
    ]
    code = (
        "import sys, benchmarks.cli, benchmarks.registry as r; r.methods(); r.metrics();"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]", f"imported at the start: {done.stdout}"
