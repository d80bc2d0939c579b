"""The contract: everything that a separation method, a metric or a judge may import.

A *method* turns a clip into two tracks, the vocals and the background. A *metric* turns tracks,
words or costs into one number. A *judge* turns a track into words. Each is one decorated function
in one file; the folder is the registry. Nothing here knows of files, processes or reports.

Conventions, checked once, here:
    audio is float32 of shape ``(channels, samples)``, full scale is 1.0, rates are in Hz;
    the reference comes first, the estimate second, always.
"""

from __future__ import annotations

import importlib
import inspect
import math
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

Family = Literal["floor", "dsp", "blind", "reference", "learned", "hybrid", "oracle"]
Need = Literal["speech", "background", "song", "two channels", "microphones"]
Better = Literal["higher", "lower", "neither"]
Target = Literal["vocals", "background", "outputs"]

METRIC_INPUTS = {
    "reference": "the true track: of the speech when the vocals are scored, else of the background",
    "estimate": "the method's track that stands against the reference",
    "other_reference": "the true track of what is not scored: of the background for the vocals",
    "other_estimate": "the method's track that stands against the other reference",
    "mixture": "what the method was given",
    "outputs": "both tracks of the method, as an Estimate",
    "song": "the clean song that plays in the clip",
    "transcript": "the words that were really said",
    "hypothesis": "the words that a judge heard in the vocals",
    "invented": "the words that a judge heard in the vocals where the true speech is silent",
    "pause_seconds": "for how long the true speech is silent, short breaks left out",
    "language": "the language of the transcript, as a two-letter code",
    "cost": "what the separation took, as a Cost",
}


class ContractError(TypeError):
    """A plugin, or the harness, handed over something that the contract does not allow."""


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """A piece of sound.

    Args:
        samples: float32, shape ``(channels, samples)``, full scale 1.0.
        rate_hz: sample rate in Hz, a positive integer.

    Raises:
        ContractError: for any other shape or type; the message guesses the cause.
    """

    samples: Samples
    rate_hz: int

    def __post_init__(self) -> None:
        if not isinstance(self.samples, np.ndarray) or self.samples.dtype != np.float32:
            kind = getattr(self.samples, "dtype", type(self.samples).__name__)
            raise ContractError(f"audio must be a float32 array, not {kind}; use Audio.of(...)")
        if self.samples.ndim != 2:
            raise ContractError(
                f"audio must have shape (channels, samples), not {self.samples.shape}"
            )
        if self.channels > 64 and self.channels > self.length:
            raise ContractError(
                f"audio of {self.channels} channels and {self.length} samples: "
                "transposed, perhaps? The shape is (channels, samples)"
            )
        if not isinstance(self.rate_hz, int) or self.rate_hz <= 0:
            raise ContractError(
                f"the sample rate must be a positive integer in Hz, not {self.rate_hz!r}"
            )

    @classmethod
    def of(cls, samples: Any, rate_hz: int) -> Audio:
        """Audio from anything array-like; one dimension means mono."""
        return cls(np.atleast_2d(np.asarray(samples, dtype=np.float32)), int(rate_hz))

    @property
    def channels(self) -> int:
        return int(self.samples.shape[0])

    @property
    def length(self) -> int:
        """Number of samples in each channel."""
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        return self.length / self.rate_hz

    def mono(self) -> Samples:
        """The mean of the channels, shape ``(samples,)``."""
        return np.asarray(self.samples.mean(axis=0), dtype=np.float32)

    def cut(self, start: int, stop: int) -> Audio:
        """Samples ``start`` to ``stop`` as a view; both are clamped to what is there."""
        return Audio(self.samples[:, max(start, 0) : max(stop, 0)], self.rate_hz)

    def like(self, samples: Any) -> Audio:
        """Audio of this one's rate with other samples."""
        return Audio.of(samples, self.rate_hz)


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording to separate, and whatever is known of it.

    A clip of the user's own may have nothing but a mixture. ``start_seconds`` is where ``mixture``
    begins in its recording when a long one is fed block by block; it is 0 otherwise.
    """

    id: str
    scenario: str
    mixture: Audio
    speech: Audio | None = None
    background: Audio | None = None
    transcript: str | None = None
    language: str = "en"
    song: Audio | None = None
    microphones_metres: tuple[tuple[float, float, float], ...] | None = None
    start_seconds: float = 0.0

    def missing(self, needs: Iterable[Need]) -> str | None:
        """Why a method with these needs can't be applied to this clip; None when it can."""
        for need in needs:
            if need == "two channels":
                if self.mixture.channels < 2:
                    return "needs at least two channels; this clip has one"
            elif need == "microphones":
                if self.microphones_metres is None:
                    return "needs the microphones' positions, which are not known for this clip"
            elif getattr(self, need) is None:
                known = "the true " + need if need != "song" else "the clean song"
                return f"needs {known}, which is not known for this clip"
        return None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a method gives back: cleaned speech and everything else, shaped like the mixture.

    ``notes`` are plain sentences for the reader of the report ("the song was not found").
    """

    vocals: Audio
    background: Audio
    notes: tuple[str, ...] = ()

    def problem(self, mixture: Audio) -> str | None:
        """What is wrong with this estimate of that mixture; None when nothing is."""
        for name, track in (("vocals", self.vocals), ("background", self.background)):
            if track.rate_hz != mixture.rate_hz:
                return f"the {name} came back at {track.rate_hz} Hz, not at {mixture.rate_hz} Hz"
            if track.samples.shape != mixture.samples.shape:
                return (
                    f"the {name} came back with shape {track.samples.shape}, "
                    f"not the mixture's {mixture.samples.shape}"
                )
            broken = np.count_nonzero(~np.isfinite(track.samples))
            if broken:
                return f"the {name} came back with {broken} samples that are NaN or infinite"
        return None


@dataclass(frozen=True, slots=True)
class Undefined:
    """A score that does not exist, and why: "silent reference"."""

    reason: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A score, and what its reader should know of it: "3 of 12 frames left out"."""

    value: float
    note: str


@dataclass(frozen=True, slots=True)
class EditCounts:
    """An error rate kept as its counts, so that a corpus rate is total errors over total units."""

    substitutions: int
    deletions: int
    insertions: int
    reference_units: int

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | Undefined:
        """Errors per reference unit, from 0 up (above 1 when much is inserted)."""
        if self.reference_units == 0:
            return Undefined(f"empty reference, {self.insertions} inserted")
        return self.errors / self.reference_units


@dataclass(frozen=True, slots=True)
class Cost:
    """What one separation took, on one process of one thread unless the run says otherwise.

    ``start`` is "cold" for the first separation of a method in its process (compilers and caches
    still warm up in it) and "warm" after that. ``load_seconds`` is the time to get the model
    ready, paid once a process. ``peak_memory_bytes`` is what the process held at most, beyond what
    it held before the model was loaded.
    """

    audio_seconds: float
    separate_seconds: float
    load_seconds: float
    start: Literal["cold", "warm"]
    peak_memory_bytes: int


class Unavailable(Exception):
    """Raised by ``load`` when a model can't be had; the message says what would make it so."""


@dataclass(frozen=True, slots=True)
class Option:
    """What an option means, with its unit, and the values it may take. For ``Annotated``."""

    meaning: str
    minimum: float = -math.inf
    maximum: float = math.inf


@dataclass(frozen=True, slots=True)
class Parameter:
    """One option of a plugin, as read from its signature."""

    name: str
    annotation: Any
    default: Any
    option: Option


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a long recording may be fed to a method, piece by piece, without a seam.

    The harness cuts the recording, at the method's rate, into cores of ``core`` samples that start
    at multiples of ``core``, hands each over with ``context`` samples of what is around it (less
    at the two ends of the recording), and keeps the core of the result.
    """

    core: int
    context: int

    def __post_init__(self) -> None:
        if self.core <= 0 or self.context < 0:
            raise ContractError("blocks need a core above 0 and a context of 0 or more samples")


@dataclass(frozen=True, slots=True, eq=False)
class Plugin:
    """What methods, metrics and judges have in common."""

    name: str
    summary: str
    paper: str
    function: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    assets: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    load: Callable[..., Any] | None = None
    choose_assets: Callable[..., tuple[str, ...]] | None = None

    def __reduce__(self) -> tuple[Callable[..., Plugin], tuple[str, str, str]]:
        """Plugins travel to other processes by name: the module there brings its own code."""
        return _plugin_in, (self.function.__module__, type(self).__name__, self.name)

    @property
    def source_file(self) -> Path:
        return Path(inspect.getfile(self.function))

    def assets_for(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The assets that it needs with these options: all that it names, unless it chooses."""
        if self.choose_assets is None:
            return self.assets
        wanted = inspect.signature(self.choose_assets).parameters
        return self.choose_assets(**{key: options[key] for key in options if key in wanted})

    def load_model(self, assets: Mapping[str, Path], options: Mapping[str, Any]) -> Any:
        """The model that the function needs, or None. ``load`` is given the options it names."""
        if self.load is None:
            return None
        wanted = inspect.signature(self.load).parameters
        return self.load(assets, **{key: options[key] for key in options if key in wanted})

    def call(self, *given: Any, model: Any, options: Mapping[str, Any]) -> Any:
        """The function, with its model behind its inputs when it has one."""
        return self.function(*given, *(() if self.load is None else (model,)), **options)


@dataclass(frozen=True, slots=True, eq=False)
class Method(Plugin):
    """A separation method. See :func:`method`."""

    family: Family = "dsp"
    needs: tuple[Need, ...] = ()
    uses: tuple[Need, ...] = ()
    rate_hz: int | None = None
    blocks: Callable[..., Blocks] | None = None
    longest_seconds: float = 600.0
    opt_in: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Metric(Plugin):
    """A metric. See :func:`metric`."""

    unit: str = ""
    better: Better = "higher"
    inputs: tuple[str, ...] = ()
    improvement: bool = False
    targets: tuple[Target, ...] = ()
    opt_in: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Judge(Plugin):
    """A speech recogniser that writes down what it hears. See :func:`judge`."""

    rate_hz: int = field(default=16000)
    find: Callable[..., Path] | None = None
    together: Callable[..., list[str]] | None = None

    def checkpoint(self, options: Mapping[str, Any]) -> Path | None:
        """Where the model that the options name lies; None for a judge without ``find``.

        Raises:
            Unavailable: it is not on this machine.
        """
        if self.find is None:
            return None
        wanted = inspect.signature(self.find).parameters
        return self.find(**{key: options[key] for key in options if key in wanted})

    def hear(
        self, tracks: Sequence[Audio], language: str, *, model: Any, options: Mapping[str, Any]
    ) -> list[str]:
        """What is heard in each track: at once where the judge can, else one after the other."""
        if self.together is not None and len(tracks) > 1:
            return self.together(tracks, language, model, **options)
        return [self.call(one, language, model=model, options=options) for one in tracks]


def method(
    *,
    family: Family,
    name: str = "",
    paper: str = "",
    needs: tuple[Need, ...] = (),
    uses: tuple[Need, ...] = (),
    assets: tuple[str, ...] = (),
    packages: tuple[str, ...] = (),
    load: Callable[..., Any] | None = None,
    choose_assets: Callable[..., tuple[str, ...]] | None = None,
    rate_hz: int | None = None,
    blocks: Callable[..., Blocks] | None = None,
    longest_seconds: float = 600.0,
    opt_in: str = "",
) -> Callable[[Callable[..., Estimate]], Method]:
    """Make a separation method of ``separate(clip, [model,] *, options...) -> Estimate``.

    Args:
        family: floor, dsp, blind, reference, learned, hybrid or oracle.
        name: the name to call it by; the function's own, with dashes, by default.
        paper: where the idea comes from.
        needs: what a clip must bring beside its mixture.
        uses: what it makes use of where a clip brings it, and can do without.
        assets: names of the weights it uses, as in ``benchmarks/assets.toml``.
        packages: packages beyond the project's own dependencies, as pip knows them.
        load: ``load(assets, **options) -> model``; called once a process and never timed as
            separation. ``assets`` maps each name to its folder.
        choose_assets: ``choose_assets(**options) -> names``: which of its assets it needs with
            these options, where that is not all of them.
        rate_hz: the rate it works at; the harness resamples to it and back. None: any.
        blocks: ``blocks(rate_hz, **options) -> Blocks``, when long recordings may be cut.
        longest_seconds: the longest recording it takes whole, where there is no ``blocks``.
        opt_in: why the method is left out of a run unless it is asked for by name.
    """

    def wrap(function: Callable[..., Estimate]) -> Method:
        return Method(
            **described(function, name),
            paper=paper,
            assets=assets,
            packages=packages,
            load=load,
            choose_assets=choose_assets,
            family=family,
            needs=needs,
            uses=uses,
            rate_hz=rate_hz,
            blocks=blocks,
            longest_seconds=longest_seconds,
            opt_in=opt_in,
        )

    return wrap


def metric(
    *,
    unit: str,
    better: Better,
    name: str = "",
    paper: str = "",
    improvement: bool = False,
    targets: tuple[Target, ...] = (),
    assets: tuple[str, ...] = (),
    packages: tuple[str, ...] = (),
    load: Callable[..., Any] | None = None,
    opt_in: str = "",
) -> Callable[[Callable[..., float | Noted | Undefined | EditCounts]], Metric]:
    """Make a metric of a pure function, ``score(inputs..., [model,] *, options...)``.

    The names of its positional parameters say what it needs; see ``METRIC_INPUTS``. With
    ``reference`` or ``estimate`` it is asked once for the vocals and once for the background,
    unless ``targets`` says otherwise; with ``hypothesis``, once a judge. What a reader should know
    of a score goes with it as :class:`Noted`, into the row's reason.

    Args:
        unit: of the score; "1" for a plain number.
        better: whether higher or lower scores are better.
        name: the name to call it by; the function's own, with dashes, by default.
        paper: where the idea comes from.
        improvement: True adds a row ``NAME-improvement``: the score less that of the mixture.
        targets: what it is asked about, where that does not follow from its inputs.
        assets: as for :func:`method`.
        packages: as for :func:`method`.
        load: as for :func:`method`; metrics with the same ``load`` share one model a process. The
            model stands behind the inputs.
        opt_in: why the metric is left out of a run unless it is asked for by name.
    """

    def wrap(function: Callable[..., float | Noted | Undefined | EditCounts]) -> Metric:
        inputs = tuple(
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
        )
        inputs = inputs if load is None else inputs[:-1]
        unknown = [name for name in inputs if name not in METRIC_INPUTS]
        if unknown or not inputs:
            raise ContractError(
                f"metric {function.__name__}: {unknown or 'nothing'} is not among the inputs that "
                f"a metric may ask for: {', '.join(METRIC_INPUTS)}"
            )
        return Metric(
            **described(function, name),
            paper=paper,
            assets=assets,
            packages=packages,
            load=load,
            unit=unit,
            better=better,
            inputs=inputs,
            improvement=improvement,
            targets=targets,
            opt_in=opt_in,
        )

    return wrap


def judge(
    *,
    name: str = "",
    paper: str = "",
    assets: tuple[str, ...] = (),
    packages: tuple[str, ...] = (),
    load: Callable[..., Any] | None = None,
    rate_hz: int = 16000,
    find: Callable[..., Path] | None = None,
    together: Callable[..., list[str]] | None = None,
) -> Callable[[Callable[..., str]], Judge]:
    """Make a judge of ``transcribe(audio, language, [model,] *, options...) -> str``.

    ``audio`` is mono at ``rate_hz``; ``language`` is a two-letter code.

    Args:
        name: the name to call it by; the function's own, with dashes, by default.
        paper: where the idea comes from.
        assets: as for :func:`method`.
        packages: as for :func:`method`.
        load: as for :func:`method`.
        rate_hz: of the sound that it is given.
        find: ``find(*, options it names...) -> Path``: where a model lies that is no asset. It
            raises ``Unavailable``, quickly and without the network, where the model is not here.
        together: ``together(tracks, language, model, *, options...) -> list[str]``: the same words
            as one by one, of several tracks in less time.
    """

    def wrap(function: Callable[..., str]) -> Judge:
        return Judge(
            **described(function, name),
            paper=paper,
            assets=assets,
            packages=packages,
            load=load,
            rate_hz=rate_hz,
            find=find,
            together=together,
        )

    return wrap


def described(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """What a decorated function says of itself: its name, summary and options.

    Raises:
        ContractError: it has no docstring, or an option has no default or no meaning.
    """
    return {
        "name": name or function.__name__.strip("_").replace("_", "-"),
        "summary": _summary(function),
        "function": function,
        "parameters": _parameters(function),
    }


def plugins_in(module: ModuleType) -> list[Plugin]:
    """The plugins that this module itself defines, in the order of its text."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, Plugin) and value.function.__module__ == module.__name__
    ]


def _plugin_in(module: str, kind: str, name: str) -> Plugin:
    found = {
        (type(plugin).__name__, plugin.name): plugin
        for plugin in plugins_in(importlib.import_module(module))
    }
    return found[kind, name]


def _summary(function: Callable[..., Any]) -> str:
    """The first sentence of the docstring; a plugin without one is refused."""
    text = inspect.getdoc(function)
    if not text:
        raise ContractError(f"{function.__name__} needs a docstring: its first line is its summary")
    return text.split("\n\n")[0].replace("\n", " ")


def _parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """The keyword-only parameters: each typed, with a default and an Option that explains it."""
    hints = typing.get_type_hints(function, include_extras=True)
    found = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        hint = hints.get(parameter.name)
        extras = typing.get_args(hint)[1:] if typing.get_origin(hint) is typing.Annotated else ()
        option = next((extra for extra in extras if isinstance(extra, Option)), None)
        if option is None or parameter.default is inspect.Parameter.empty:
            raise ContractError(
                f"option {parameter.name} of {function.__name__} needs a default and a meaning: "
                f"{parameter.name}: Annotated[TYPE, Option('what it is, in which unit')] = VALUE"
            )
        found.append(Parameter(parameter.name, typing.get_args(hint)[0], parameter.default, option))
    return tuple(found)
