"""What a run will do: which clips, which methods with which options, scored by what."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from benchmarks import assets, guards, landmarks, media, pauses, registry, separation
from benchmarks.contract import Judge, Method, Metric, Plugin, Unavailable
from benchmarks.errors import UserError
from benchmarks.ledger import key_of
from benchmarks.options import parse_options, split_assignments, suggestion
from benchmarks.sources import source_texts

if TYPE_CHECKING:
    from benchmarks.suite import ClipEntry, Suite

P = TypeVar("P", bound=Plugin)

DEFAULT_JUDGES = ("whisper",)
# The packages whose versions can move a result; a change of any of them recomputes everything.
PACKAGES = (
    "av", "ctranslate2", "faster-whisper", "jiwer", "librosa", "numba", "numpy", "onnxruntime",
    "pyroomacoustics", "pystoi", "scikit-learn", "scipy", "sepbench", "soundfile", "soxr",
    "tokenizers", "torch", "whisper-normalizer",
)  # fmt: skip


@dataclass(frozen=True)
class Choice(Generic[P]):
    """A plugin and the value of each of its options."""

    plugin: P
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.plugin.name

    @functools.cached_property
    def key(self) -> str:
        """SHA-256 over all that this choice puts into a result."""
        return key_of(
            plugin=type(self.plugin).__name__,
            name=self.name,
            source=registry.source_hash(self.plugin),
            options={name: _with_stamp(value) for name, value in self.options.items()},
            weights={
                name: assets.asset_hashes(name) for name in self.plugin.assets_for(self.options)
            },
            checkpoint=_checkpoint(self),
            harness=_harness_hash(scores=isinstance(self.plugin, Metric)),
            versions=versions(*self.plugin.packages),
        )


@dataclass(frozen=True)
class Plan:
    """The cells of a run: every method on every clip, every metric on every estimate."""

    suite: Suite
    methods: tuple[Choice[Method], ...]
    metrics: tuple[Choice[Metric], ...]
    judges: tuple[Choice[Judge], ...]

    @property
    def choices(self) -> tuple[Choice[Any], ...]:
        """Every plugin of the run."""
        return (*self.methods, *self.metrics, *self.judges)

    @property
    def judges_wanted(self) -> bool:
        """Whether any metric asks for a judge's words."""
        return any("hypothesis" in choice.plugin.inputs for choice in self.metrics)

    @property
    def pauses_wanted(self) -> bool:
        """Whether any metric asks for the words that a judge hears in the speaker's pauses."""
        return any("invented" in choice.plugin.inputs for choice in self.metrics)


def make_plan(
    suite: Suite,
    *,
    methods: Iterable[str] = (),
    metrics: Iterable[str] = (),
    judges: Iterable[str] = (),
    assignments: Iterable[str] = (),
) -> Plan:
    """Names and ``PLUGIN.OPTION=VALUE`` texts to a plan; no names means the default ones.

    Raises:
        UserError: an unknown name or option, a value of the wrong type, an option for nothing.
    """
    given = split_assignments(assignments)
    plan = Plan(
        suite,
        _choose(registry.methods(), methods or _by_default(registry.methods()), "method", given),
        _choose(registry.metrics(), metrics or _by_default(registry.metrics()), "metric", given),
        _choose(registry.judges(), judges or DEFAULT_JUDGES, "judge", given),
    )
    _refuse_unused(plan, given)
    return plan


def choose_method(name: str, assignments: Iterable[str] = ()) -> Choice[Method]:
    """One method by name, with ``-p`` texts."""
    given = split_assignments(assignments)
    (choice,) = _choose(registry.methods(), [name], "method", given)
    if set(given) - {name}:
        raise UserError(f"-p names {sorted(given)[0]!r}, but the method is {name!r}.")
    return choice


@functools.cache
def versions(*more: str) -> dict[str, str]:
    """Versions of Python, of the packages that can move a result, and of more of them."""
    found = {"python": platform.python_version()}
    for package in (*PACKAGES, *more):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def _by_default(known: Mapping[str, Method] | Mapping[str, Metric]) -> list[str]:
    return [name for name, plugin in known.items() if not plugin.opt_in]


def _choose(
    known: dict[str, P], names: Iterable[str], what: str, given: Mapping[str, Mapping[str, str]]
) -> tuple[Choice[P], ...]:
    plugins = [registry.find(known, name, what) for name in dict.fromkeys(names)]
    return tuple(Choice(p, parse_options(p, given.get(p.name, {}))) for p in plugins)


def _refuse_unused(plan: Plan, given: Mapping[str, Any]) -> None:
    chosen = [choice.name for choice in plan.choices]
    for name in given:
        if name not in chosen:
            raise UserError(
                f"-p names {name!r}, which is not in this run. {suggestion(name, chosen)}"
            )


def _checkpoint(choice: Choice[Any]) -> Any:
    """The files of a judge's model that is no asset; the hub's cache has a revision a folder."""
    if not isinstance(choice.plugin, Judge) or registry.missing_package(choice.plugin):
        return None
    try:
        folder = choice.plugin.checkpoint(choice.options)
    except Unavailable:
        return None
    return _with_stamp(str(folder)) if folder else None


def _with_stamp(value: Any) -> Any:
    """A file's size and time of change count too, so that a retrained model is a new one.

    What lies in a folder counts with it, and the JSON beside a file: it says how a model is used.
    """
    if not isinstance(value, str) or not value:
        return value
    path = Path(value).expanduser()
    if path.is_file():
        files = [path, path.with_suffix(".json")]
    else:  # a word that is no path may be the name of a folder by chance
        files = sorted(path.rglob("*")) if "/" in value or "\\" in value else []
    stamps = [
        (str(file), seen.st_size, seen.st_mtime_ns)
        for file in files
        if file.exists() and (seen := file.stat())
    ]
    return [value, *stamps] if stamps else value


@functools.cache
def _harness_hash(*, scores: bool) -> str:
    """The harness's own files between a clip and an estimate, and from there to its scores."""
    touched = (separation.__file__, media.__file__)
    return key_of(sources=source_texts(*touched, *([landmarks.__file__] if scores else [])))


@functools.cache
def _guards_hash() -> str:
    return key_of(sources=source_texts(guards.__file__))


def estimate_key(clip: ClipEntry, choice: Choice[Method]) -> str:
    """What a method's estimate of a clip is found by."""
    return key_of(stage="separate", clip=clip.audio_sha256, method=choice.key)


def score_key(estimate: str, clip: ClipEntry, choice: Choice[Metric]) -> str:
    """What a metric's scores of an estimate are found by."""
    return key_of(stage="score", estimate=estimate, clip=clip.audio_sha256, metric=choice.key)


def remarks_key(estimate: str, clip: ClipEntry) -> str:
    """What the guards' remarks on an estimate are found by."""
    sources = _harness_hash(scores=False), _guards_hash()
    return key_of(stage="guard", estimate=estimate, clip=clip.audio_sha256, sources=sources)


def pauses_key(clip: ClipEntry) -> str:
    """What the length of the pauses in a clip's true speech is found by."""
    return key_of(stage="pauses", clip=clip.audio_sha256, sources=source_texts(pauses.__file__))


def transcript_key(estimate: str, language: str, choice: Choice[Judge]) -> str:
    """What a judge's hypothesis of an estimate's vocals is found by."""
    return key_of(stage="transcribe", estimate=estimate, language=language, judge=choice.key)
