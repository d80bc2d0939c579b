"""A recipe for training material: its sources, and which of their sounds go where.

The keys of a recipe's TOML file are the attributes of these classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from benchmarks.errors import UserError
from benchmarks.options import suggestion
from benchmarks.recipe import read_table, read_toml

FOLDER = Path(__file__).parent
POOLS = ("speech", "background")
PARTS = ("train", "valid")
INGREDIENTS = "ingredients"  # beside the pools: what sounds are made of

KINDS = ("speech", "music", "noise")
MADE_KINDS = ("noise", "typing", "crowd")


@dataclass(frozen=True, slots=True)
class Take:
    """Members of a source that go to one place.

    Attributes:
        into: a folder of the set: ``POOL/PART/GROUP``, with any folders below, or
            ``ingredients/PART/NAME`` for what is only used to make other sounds.
        members: patterns, as of the shell; ``*`` matches slashes too. The first take of a source
            with a pattern that fits takes a member.
        without: patterns of members that are left out.
        kind: "speech" becomes one channel with short pauses; "music" and "noise" stay as they are.
        at_least_seconds: a sound that is shorter is left out.
        at_most_seconds: of a sound, out of its middle; 0 for all of it.
    """

    into: str
    members: tuple[str, ...]
    without: tuple[str, ...] = ()
    kind: str = "speech"
    at_least_seconds: float = 0.5
    at_most_seconds: float = 0.0

    def fits(self, member: str) -> bool:
        return _matches(member, self.members) and not _matches(member, self.without)


@dataclass(frozen=True, slots=True)
class Source:
    """A package of Debian's, or an asset of the catalogue, and what is taken of it.

    Attributes:
        summary: what is in it.
        licence: of what is taken.
        share_alike: whether the licence asks that what is derived from it has the same.
        credit: who made it.
        package: its name, with ``version``, the ``file`` it comes as, and that file's ``bytes`` and
            ``sha256``.
        asset: its name, instead of a package.
    """

    summary: str
    licence: str
    credit: str
    takes: tuple[Take, ...]
    share_alike: bool = False
    package: str = ""
    version: str = ""
    file: str = ""
    bytes: int = 0
    sha256: str = ""
    asset: str = ""

    @property
    def name(self) -> str:
        return self.package or self.asset


@dataclass(frozen=True, slots=True)
class Making:
    """Sounds that are made here, see :mod:`benchmarks.training.material.made`.

    Attributes:
        kind: "noise", "typing" or "crowd".
        into: a folder of the set, as in :class:`Take`.
        count: how many.
        seconds: how long each is.
        seed: of all that is drawn.
        out_of: a folder of the set whose sounds they are made of; of "noise" none.
    """

    kind: str
    into: str
    count: int
    seconds: float
    seed: int
    out_of: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind} for {self.into}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a training set is made of: first the sources, then what is made here, in this order."""

    name: str
    summary: str
    source: tuple[Source, ...]
    made: tuple[Making, ...] = ()


def recipes() -> list[str]:
    """The names of the recipes there are."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def load_recipe(name: str | Path) -> Recipe:
    """A recipe by its name, or out of a file of the user's.

    Raises:
        UserError: there is no such recipe, or it says what can't be done.
    """
    file = name if isinstance(name, Path) else FOLDER / f"{name}.toml"
    if not isinstance(name, Path) and name not in recipes():
        raise UserError(f"there is no training material {name!r}. {suggestion(name, recipes())}")
    recipe = read_table(Recipe, read_toml(file), str(file))
    for problem in _problems(recipe):
        raise UserError(f"{file}: {problem}")
    return recipe


def _problems(recipe: Recipe) -> Iterator[str]:
    """What can't be done, one by one."""
    for source in recipe.source:
        if bool(source.package) == bool(source.asset):
            yield f"the source of {source.summary!r} must have a package or an asset"
        for take in source.takes:
            yield from _misplaced(take.into)
            yield from _unknown(take.kind, KINDS)
    for making in recipe.made:
        yield from _misplaced(making.into)
        yield from _unknown(making.kind, MADE_KINDS)


def _misplaced(into: str) -> Iterator[str]:
    parts = PurePosixPath(into).parts
    top, part = (*parts, "", "")[:2]
    if ".." in parts or len(parts) < 3 or top not in (*POOLS, INGREDIENTS) or part not in PARTS:
        yield f"{into!r} must be POOL/PART/GROUP, as in speech/train/anna"


def _unknown(kind: str, known: tuple[str, ...]) -> Iterator[str]:
    if kind not in known:
        yield f"there is no kind {kind!r}. {suggestion(kind, known)}"


def _matches(member: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(member, pattern) for pattern in patterns)
