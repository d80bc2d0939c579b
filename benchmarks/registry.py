"""The registry: which methods, metrics, judges and trainers there are.

The folders ``methods/`` and ``metrics/`` are the lists: every file that does not start with an
underscore is imported, and each plugin it defines is known by its name. Packages elsewhere join
through the entry points ``sepbench.methods`` and ``sepbench.metrics``, each naming a module or a
plugin in one.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import pkgutil
from types import ModuleType
from typing import TypeVar

from benchmarks.contract import ContractError, Judge, Method, Metric, Plugin, plugins_in
from benchmarks.errors import UserError
from benchmarks.learning import Trainer
from benchmarks.options import suggestion
from benchmarks.sources import files_behind

FOLDERS = ("methods", "metrics")
P = TypeVar("P", bound=Plugin)


def methods() -> dict[str, Method]:
    """Every separation method by name, floors first and oracles last."""
    order = ("floor", "dsp", "blind", "reference", "learned", "hybrid", "oracle")
    found = _of_kind(Method)
    return dict(sorted(found.items(), key=lambda item: order.index(item[1].family)))


def metrics() -> dict[str, Metric]:
    """Every metric by name."""
    return _of_kind(Metric)


def judges() -> dict[str, Judge]:
    """Every speech recogniser by name."""
    return _of_kind(Judge)


def trainers() -> dict[str, Trainer]:
    """Every trainer, by the name of its method."""
    return _of_kind(Trainer)


def find(known: dict[str, P], name: str, what: str) -> P:
    """The plugin of that name.

    Raises:
        UserError: there is none; the message suggests the nearest.
    """
    if name not in known:
        raise UserError(f"there is no {what} {name!r}. {suggestion(name, known)}")
    return known[name]


def missing_package(plugin: Plugin) -> str | None:
    """Why the plugin is unavailable for want of a package, with the command that brings it."""
    lacking = [name for name in plugin.packages if not _is_installed(name)]
    if not lacking:
        return None
    return f"needs {' and '.join(lacking)}; run: pip install {' '.join(lacking)}"


def broken() -> dict[str, str]:
    """Outside plugins that could not be imported: entry point and reason."""
    return dict(_discover()[1])


def source_hash(plugin: Plugin) -> str:
    """SHA-256 over the plugin's file and those that it imports from beside it."""
    digest = hashlib.sha256()
    for path in files_behind(plugin.source_file):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _of_kind(kind: type[P]) -> dict[str, P]:
    return {plugin.name: plugin for plugin in _discover()[0] if isinstance(plugin, kind)}


@functools.cache
def _discover() -> tuple[tuple[Plugin, ...], tuple[tuple[str, str], ...]]:
    """All plugins, and the outside ones that failed to load."""
    plugins: list[Plugin] = []
    for folder in FOLDERS:
        package = importlib.import_module(folder)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                plugins += plugins_in(importlib.import_module(f"{folder}.{module.name}"))
    outside, failures = _outside_plugins()
    plugins += outside
    _refuse_duplicates(plugins)
    return tuple(plugins), tuple(failures)


def _outside_plugins() -> tuple[list[Plugin], list[tuple[str, str]]]:
    plugins: list[Plugin] = []
    failures: list[tuple[str, str]] = []
    for folder in FOLDERS:
        for entry in importlib.metadata.entry_points(group=f"sepbench.{folder}"):
            try:
                found = entry.load()
            except Exception as error:  # whatever an outside plugin raises must not stop the rest
                failures.append((entry.name, f"{type(error).__name__}: {error}"))
                continue
            if isinstance(found, ModuleType):
                plugins += plugins_in(found)
            elif isinstance(found, Plugin):
                plugins.append(found)
            else:
                failures.append((entry.name, f"{entry.value} is neither a module nor a plugin"))
    return plugins, failures


def _refuse_duplicates(plugins: list[Plugin]) -> None:
    seen: dict[tuple[type[Plugin], str], Plugin] = {}
    for plugin in plugins:
        first = seen.setdefault((type(plugin), plugin.name), plugin)
        if first is not plugin:
            raise ContractError(
                f"two plugins are called {plugin.name!r}: "
                f"{first.source_file} and {plugin.source_file}; rename one"
            )
