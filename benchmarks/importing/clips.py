"""One clip of an imported suite: read from the data set, and written as far as it must be.

A file that holds just what the clip needs stays where it is, and is referred to. What is summed,
cut out, or one of several sounds of a file is written without loss.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import layouts, media
from benchmarks.contract import Audio, Clip
from benchmarks.errors import UserError
from benchmarks.layouts import MUSDB_SUFFIX, Stem, read_stem
from benchmarks.ledger import key_of, write_file, write_json
from benchmarks.sources import source_texts
from benchmarks.suite import residual_db

FACTS = "import.json"
PAUSE_DB = -20.0  # a second this far below the loudest one counts as a pause
FLAC_STEPS, FLAC_CHANNELS = 2**23, 8


@dataclass(frozen=True, slots=True)
class Material:
    """What a clip is made from.

    Args:
        id: of the clip; its folder has that name.
        title: for people.
        scenario: of the clip.
        target: the stems that are the speech, to be summed.
        background: the stems of all else, to be summed; none means the mixture less the target.
        mixture: the recording; None means the sum of target and background.
        words: what is said, where that is known.
        excerpt_seconds: how much of it to take; None means the whole.
    """

    id: str
    title: str
    scenario: str
    target: tuple[Stem, ...]
    background: tuple[Stem, ...] = ()
    mixture: Stem | None = None
    words: str | None = None
    excerpt_seconds: float | None = None

    @property
    def key(self) -> str:
        """A hash of all that the written clip depends on; of a file, its size and its time.

        Raises:
            UserError: a file is missing.
        """
        mixture = (self.mixture,) if self.mixture else ()
        paths = {stem.path for stem in (*self.target, *self.background, *mixture)}
        return key_of(
            material=asdict(self), files=[_stamp(path) for path in sorted(paths)], code=_code()
        )


def noted(material: Material, folder: Path) -> dict[str, Any] | None:
    """What was noted of a clip that is there and up to date; None for any other."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) and facts.get("key") == material.key else None


def write_clip(material: Material, folder: Path) -> dict[str, Any]:
    """Write what of a clip must be written; gives back what is noted of it.

    ``table`` is what ``suite.toml`` says of the clip, ``residual_db`` what the stems leave of the
    mixture. The notes are written last: a clip without them is not whole.

    Raises:
        UserError: a file is missing or damaged, or the sounds don't fit each other.
    """
    key, sounds = material.key, _read(material)
    span = _excerpt(sounds["speech"], sounds["background"], material.excerpt_seconds)
    if span is not None:
        sounds = {track: audio.cut(*span) for track, audio in sounds.items()}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    table = {
        "title": material.title + _in_words(span, sounds["mixture"].rate_hz),
        "scenario": material.scenario,
    }
    for track, audio in sounds.items():
        file = _file_alone(material, track) if span is None else None
        table[track] = str(file or _write(audio, folder, track))
    if material.words is not None:
        write_file(folder / "transcript.txt", f"{material.words}\n".encode())
        table["transcript"] = f"{folder.name}/transcript.txt"
    facts = {"key": key, "table": table, "residual_db": _residual_db(material, sounds)}
    write_json(folder / FACTS, facts)
    return facts


def _read(material: Material) -> dict[str, Audio]:
    """The mixture, the speech and the background of a clip, alike in length, rate and width."""
    first: list[tuple[Stem, Audio]] = []

    def total(stems: Sequence[Stem]) -> Audio:
        return _sum(_alike(stem, first) for stem in stems)

    mixture = total([material.mixture]) if material.mixture else None
    speech = total(material.target)
    if mixture is None:
        background = total(material.background)
        mixture = _sum([speech, background])
    elif material.background:
        background = total(material.background)
    else:
        background = mixture.like(mixture.samples - speech.samples)
    return {"mixture": mixture, "speech": speech, "background": background}


def _sum(sounds: Iterable[Audio]) -> Audio:
    """In single precision: sums of 16-bit sounds come out exact, any others to -140 dB."""
    return functools.reduce(lambda one, other: one.like(one.samples + other.samples), sounds)


def _alike(stem: Stem, first: list[tuple[Stem, Audio]]) -> Audio:
    """A stem's sound, which must be like the first that was read; that one is noted there."""
    audio = read_stem(stem)
    known_stem, known = first[0] if first else (stem, audio)
    for what, one, other in (
        ("Hz", audio.rate_hz, known.rate_hz),
        ("channels", audio.channels, known.channels),
        ("samples", audio.length, known.length),
    ):
        if one != other:
            raise UserError(
                f"{stem.path} has {one} {what} and {known_stem.path.name} has {other}; the sounds "
                "of a track must be alike in rate, channels and length"
            )
    first[:] = [(known_stem, known)]
    return audio


def _excerpt(speech: Audio, background: Audio, seconds: float | None) -> tuple[int, int] | None:
    """Where the two sound together most of the time, the earliest such; None means the whole."""
    if seconds is None or seconds >= speech.seconds:
        return None
    both = _sounding(speech) & _sounding(background)
    length = round(seconds * speech.rate_hz)
    count = max(round(seconds), 1)
    starts = range(int((speech.length - length) // speech.rate_hz) + 1)
    start = max(starts, key=lambda second: int(both[second : second + count].sum()))
    return start * speech.rate_hz, start * speech.rate_hz + length


def _sounding(audio: Audio) -> NDArray[np.bool_]:
    """For each second of a sound, whether it is more than a pause."""
    edges = np.arange(0, audio.length, audio.rate_hz)
    power = np.add.reduceat(np.square(audio.samples, dtype=np.float64).sum(axis=0), edges)
    return np.asarray(power > power.max() * 10 ** (PAUSE_DB / 10))


def _in_words(span: tuple[int, int] | None, rate_hz: int) -> str:
    if span is None:
        return ""
    start, stop = (divmod(round(sample / rate_hz), 60) for sample in span)
    return f", {start[0]}:{start[1]:02} to {stop[0]}:{stop[1]:02}"


def _residual_db(material: Material, sounds: Mapping[str, Audio]) -> float | None:
    """What the stems leave of the mixture, in dB of it; None of a silent one."""
    mixture, speech, background = (sounds[name] for name in ("mixture", "speech", "background"))
    if not np.any(mixture.samples):
        return None
    return residual_db(Clip(material.id, material.scenario, mixture, speech, background))


def _file_alone(material: Material, track: str) -> Path | None:
    """The file that holds just this track of a clip, if there is one."""
    stems = {
        "mixture": (material.mixture,) if material.mixture else (),
        "speech": material.target,
        "background": material.background,
    }[track]
    if len(stems) != 1 or stems[0].path.name.endswith(MUSDB_SUFFIX):
        return None
    return stems[0].path.resolve()


def _write(audio: Audio, folder: Path, track: str) -> Path:
    name = "clip" if track == "mixture" else track
    file = folder / f"{name}{'.flac' if _fits_flac(audio) else '.wav'}"
    media.write_audio(file, audio)
    return Path(folder.name, file.name)


def _fits_flac(audio: Audio) -> bool:
    """Whether the 24 bits of FLAC hold every sample as it is; else 32-bit floats must."""
    steps = audio.samples * FLAC_STEPS
    whole = bool(np.array_equal(steps, np.rint(steps)))
    return whole and audio.channels <= FLAC_CHANNELS and bool(np.abs(steps).max() < FLAC_STEPS)


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        facts = path.stat()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    return str(path), facts.st_size, facts.st_mtime_ns


@functools.cache
def _code() -> dict[str, str]:
    return source_texts(__file__, layouts.__file__, media.__file__)
