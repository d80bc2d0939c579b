"""Doctor: one pair of tracks scored by our metrics and by other packages, side by side.

Packages that share a name for a score don't always share what it means. So each peer's number
comes with what that package does: its definition, its version of it, its filters, its frames.
None of them is needed for anything else, so each is asked only where it is installed.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import registry
from benchmarks.console import print_table, say
from benchmarks.contract import Audio, Noted, Undefined
from benchmarks.errors import UserError
from benchmarks.options import parse_options

AGREE_DB, AGREE = 0.01, 0.001
RATIOS = ("sdr", "isr", "sir", "sar")  # in museval's and mir_eval's order
PEERS = ("museval", "mir_eval", "torchmetrics", "fast_bss_eval", "pystoi")


@dataclass(frozen=True, eq=False)
class Pairs:
    """True tracks and their estimates, all of one shape and rate; the first pair is scored."""

    references: tuple[Audio, ...]
    estimates: tuple[Audio, ...]

    @property
    def rate_hz(self) -> int:
        return self.references[0].rate_hz

    def stacked(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """References and estimates, each ``(sources, samples, channels)``."""
        sides = (self.references, self.estimates)
        true, found = (
            np.stack([track.samples.T for track in side]).astype(np.float64) for side in sides
        )
        return true, found

    def first_channel(self) -> Pairs:
        """The same pairs in mono, of the first channel: for what knows no more."""
        sides = (
            tuple(track.like(track.samples[:1]) for track in side)
            for side in (self.references, self.estimates)
        )
        return Pairs(*sides)


@dataclass(frozen=True)
class Peer:
    """Another package's answer: how to ask it, and what it does."""

    package: str
    ask: Callable[[Pairs], float]
    does: str


@dataclass(frozen=True)
class Question:
    """A score that several can give: our metric with its options, and the peers."""

    title: str
    metric: str
    peers: tuple[Peer, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    sources: int = 1
    mono: bool = False


def compare_metrics(references: Sequence[Path], estimates: Sequence[Path]) -> None:
    """Print what each package says of a pair, how far it is from ours, and why.

    Args:
        references: true tracks; none: a made-up voice and noise are scored.
        estimates: their estimates, in the same order.

    Raises:
        UserError: a file can't be read, or the tracks don't belong together.
    """
    pairs = read_pairs(references, estimates) if references or estimates else made_up_pairs()
    what = references[0].name if references else "a made-up voice with noise"
    first = pairs.references[0]
    say(f"{what}: {first.seconds:.1f} s, {first.channels} channel(s), {first.rate_hz} Hz")
    lines = [line for question in questions() for line in answers(question, pairs)]
    print_table(("score", "by", "value", "beside ours"), [line[:4] for line in lines])
    for (package, does), titles in _by_what_they_do(lines).items():
        say(f"{package} ({'; '.join(titles)}): {does}.")
    missing = [package for package in PEERS if _version(package) is None]
    if missing:
        say(
            f"Not installed: {', '.join(missing)}. To ask them too: pip install {' '.join(missing)}"
        )


def _by_what_they_do(lines: Sequence[tuple[str, ...]]) -> dict[tuple[str, str], list[str]]:
    """Package and what it does, and in which scores."""
    found: dict[tuple[str, str], list[str]] = {}
    title = ""
    for named, by, _, _, does in lines:
        title = named.removesuffix(", dB") or title
        if does:
            found.setdefault((by.split()[0], does), []).append(title)
    return found


def read_pairs(references: Sequence[Path], estimates: Sequence[Path]) -> Pairs:
    """Tracks from files, in pairs."""
    from benchmarks.media import read_audio

    if len(references) != len(estimates):
        raise UserError(
            f"{len(references)} references and {len(estimates)} estimates: each --reference needs "
            "its --estimate, in the same order."
        )
    paths = (*references, *estimates)
    tracks = [read_audio(path) for path in paths]
    for path, track in zip(paths, tracks, strict=True):
        for name, of in (("Hz", "rate_hz"), ("channels", "channels"), ("samples", "length")):
            here, first = getattr(track, of), getattr(tracks[0], of)
            if here != first:
                raise UserError(
                    f"{path} has {here} {name} and {paths[0]} has {first}: bring them together "
                    "first; nothing is aligned here."
                )
    return Pairs(tuple(tracks[: len(references)]), tuple(tracks[len(references) :]))


def made_up_pairs(seconds: float = 4.0, rate_hz: int = 16000) -> Pairs:
    """A voice and noise in stereo, and estimates that are late by an echo, mixed, and hissing."""
    random = np.random.default_rng(0)
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    order = np.arange(1, 20)[:, np.newaxis]
    harmonics = np.sin(2 * np.pi * order * (120 + 10 * time) * time) / order
    voice = 0.1 * harmonics.sum(axis=0) * np.sin(2 * np.pi * 1.5 * time) ** 2
    hiss = 0.003 * random.standard_normal((3, 2, time.size))
    speech = np.stack([voice, 0.7 * voice]) + hiss[0]
    noise = np.stack([np.convolve(one, np.hanning(9) / 4, "same") for one in 10 * hiss[1]])
    vocals = 0.9 * speech + 0.1 * np.roll(speech, 40, axis=1) + 0.2 * noise + hiss[2]
    rest = 0.8 * noise + 0.1 * speech
    tracks = [Audio.of(track, rate_hz) for track in (speech, noise, vocals, rest)]
    return Pairs((tracks[0], tracks[1]), (tracks[2], tracks[3]))


def answers(question: Question, pairs: Pairs) -> Iterator[tuple[str, str, str, str, str]]:
    """A line of the table for us and for each peer that is installed."""
    if question.metric not in registry.metrics():
        return
    unit = registry.metrics()[question.metric].unit
    if len(pairs.references) < question.sources:
        yield question.title, "", "needs a second pair", "", ""
        return
    asked = pairs.first_channel() if question.mono else pairs
    title = f"{question.title}, {unit}" if unit != "1" else question.title
    ours, note = _ours(question, asked)
    yield title, "sepbench", _in_words(ours), "", note
    for peer in question.peers:
        version = _version(peer.package)
        if version is not None:
            theirs = _theirs(peer, asked)
            beside = _beside(ours, theirs, unit)
            yield "", f"{peer.package} {version}", _in_words(theirs), beside, peer.does


def questions() -> tuple[Question, ...]:
    """All scores that others have too, and what each of them does."""
    frames = (
        "version 4, as ours: filters of 512 taps fitted to the whole, ratios in frames of 1 s, the "
        "median of the frames; silent frames are left out, which ours also counts and tells"
    )
    whole = "version 3 of images, as ours with version=v3-images: one ratio over the whole"
    one_channel = (
        "version 3 of sources, as ours with version=v3-sources: mono only, and what a filter of "
        "512 taps does to a track is forgiven, so it is above the version of images"
    )
    apart = "each channel by itself, then the mean; ours takes all channels as one signal"
    in_four = tuple(
        Question(
            f"{ratio.upper()} of BSS Eval 4",
            ratio,
            (Peer("museval", _museval(place), frames),),
            sources=2 if ratio in ("sir", "sar") else 1,
        )
        for place, ratio in enumerate(RATIOS)
    )
    return (
        Question("SNR", "snr", (Peer("torchmetrics", _torch("signal_noise_ratio"), apart),)),
        Question(
            "SI-SDR",
            "si-sdr",
            (
                Peer("torchmetrics", _torch("scale_invariant_signal_distortion_ratio"), apart),
                Peer(
                    "torchmetrics",
                    _torch("scale_invariant_signal_noise_ratio"),
                    f"as SI-SNR, with the mean of each track taken away first; {apart}",
                ),
                Peer("fast_bss_eval", _fast("si_sdr"), apart),
            ),
        ),
        *in_four,
        Question(
            "SDR of BSS Eval 3, images",
            "sdr",
            (Peer("mir_eval", _mir_eval_images, whole),),
            {"version": "v3-images"},
        ),
        Question(
            "SDR of BSS Eval 3, sources, mono",
            "sdr",
            (
                Peer("mir_eval", _mir_eval_sources, one_channel),
                Peer("torchmetrics", _torch("signal_distortion_ratio"), one_channel),
                Peer("fast_bss_eval", _fast("sdr"), one_channel),
            ),
            {"version": "v3-sources"},
            mono=True,
        ),
        Question("STOI", "stoi", (Peer("pystoi", _pystoi(extended=False), _STOI),)),
        Question("ESTOI", "estoi", (Peer("pystoi", _pystoi(extended=True), _STOI),)),
    )


_STOI = "mono only, so the mean of the channels here; ours asks it too, a minute at a time"


def museval_metrics() -> ModuleType:
    """museval's metrics alone: the package itself can't be imported without a system ffmpeg.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    package = importlib.util.find_spec("museval")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("museval is not installed")
    path = Path(package.submodule_search_locations[0]) / "metrics.py"
    spec = importlib.util.spec_from_file_location("museval_metrics", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _ours(question: Question, pairs: Pairs) -> tuple[float | str, str]:
    """Our score, or in words why there is none; and what it notes of itself."""
    metric = registry.metrics()[question.metric]
    missing = registry.missing_package(metric)
    if missing:
        return missing, ""
    others = (pairs.references[-1], pairs.estimates[-1])  # a single pair stands for itself
    tracks = {
        "reference": pairs.references[0],
        "estimate": pairs.estimates[0],
        "other_reference": others[0],
        "other_estimate": others[1],
    }
    given = [tracks[name] for name in metric.inputs]
    options = parse_options(metric, question.options)
    score = metric.call(*given, model=metric.load_model({}, options), options=options)
    if isinstance(score, Undefined):
        return f"undefined: {score.reason}", ""
    if isinstance(score, Noted):
        return score.value, f"notes that {score.note}"
    return float(score), ""


def _theirs(peer: Peer, pairs: Pairs) -> float | str:
    """A peer's score; its exceptions are its own, and told."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecation, and of silence: the value tells
            return float(peer.ask(pairs))
    except Exception as error:  # a package that fails on today's NumPy must not hide the others
        return f"fails: {type(error).__name__}"


def _in_words(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4f}"


def _beside(ours: float | str, theirs: float | str, unit: str) -> str:
    if isinstance(ours, str) or isinstance(theirs, str):
        return ""
    if ours == theirs or math.isnan(theirs):
        return "equal" if ours == theirs else "no number"
    apart = theirs - ours
    limit = AGREE_DB if unit == "dB" else AGREE
    return f"agrees ({apart:+.0e})" if abs(apart) <= limit else f"{apart:+.4f}"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _museval(place: int) -> Callable[[Pairs], float]:
    return lambda pairs: float(np.nanmedian(_museval_scores(pairs)[place][0]))


@functools.lru_cache(maxsize=1)
def _museval_scores(pairs: Pairs) -> Any:
    """All four ratios at once, by source and frame."""
    window = pairs.rate_hz
    return museval_metrics().bss_eval(*pairs.stacked(), window=window, hop=window)


def _mir_eval_images(pairs: Pairs) -> float:
    found = _mir_eval().bss_eval_images(*pairs.stacked(), compute_permutation=False)
    return float(found[0][0])


def _mir_eval_sources(pairs: Pairs) -> float:
    true, found = (side[..., 0] for side in pairs.stacked())
    return float(_mir_eval().bss_eval_sources(true, found, compute_permutation=False)[0][0])


def _mir_eval() -> Any:
    return importlib.import_module("mir_eval.separation")


def _torch(name: str) -> Callable[[Pairs], float]:
    def ask(pairs: Pairs) -> float:
        function = getattr(importlib.import_module("torchmetrics.functional.audio"), name)
        true, found = _tensors(pairs)
        return float(function(found, true).mean())

    return ask


def _fast(name: str) -> Callable[[Pairs], float]:
    def ask(pairs: Pairs) -> float:
        function = getattr(importlib.import_module("fast_bss_eval"), name)
        true, found = _tensors(pairs)
        scores = [function(s[None], e[None]) for s, e in zip(true, found, strict=True)]
        return math.fsum(float(score) for score in scores) / len(scores)

    return ask


def _tensors(pairs: Pairs) -> tuple[Any, Any]:
    """The first pair as float64 tensors: fast_bss_eval's NumPy way fails on NumPy 2."""
    import torch

    first = (pairs.references[0], pairs.estimates[0])
    true, found = (torch.from_numpy(track.samples.astype(np.float64)) for track in first)
    return true, found


def _pystoi(*, extended: bool) -> Callable[[Pairs], float]:
    def ask(pairs: Pairs) -> float:
        stoi = importlib.import_module("pystoi").stoi
        sides = (
            track.samples.astype(np.float64) for track in (pairs.references[0], pairs.estimates[0])
        )
        return float(
            np.mean([stoi(s, e, pairs.rate_hz, extended) for s, e in zip(*sides, strict=True)])
        )

    return ask
