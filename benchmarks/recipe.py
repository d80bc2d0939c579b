"""Recipes: what the clips of a suite are made of, read from a TOML file and checked key by key.

A recipe names voices and clips. A clip has speech pieces, said one after the other, and background
pieces, sounding together; each piece has one source and may pass through named steps. This module
knows what may be written and what it means; ``scene`` turns it into sound.

    [[clip]]
    id = "kitchen"
    scenario = "music"
    title = "A recipe beside the radio"
    level_db = 5.0                                    # speech power over background power
    speech = [{ say = "Two onions, please.", voice = "joe" }]
    background = [{ song = "music-arcade/1918.mp3", from_seconds = 30.0 }]

Sounds are named "ASSET/FILE", as in ``assets.toml``, or by a path relative to the recipe.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import assets
from benchmarks.errors import UserError
from benchmarks.options import suggestion

T = TypeVar("T")

SUITES_FOLDER = Path(__file__).with_name("suites")

SPEECH_SOURCES = ("say", "recording", "tone_hz", "noise_seed", "pause_seconds")
BACKGROUND_SOURCES = ("recording", "song", "say", "tone_hz", "noise_seed", "echo")
SOUND_KEYS = ("recording", "song", "echo", "room", "piper")


@dataclass(frozen=True)
class Voice:
    """A Piper voice, at a pitch and a tempo of its own.

    The pitch is moved by resampling, so the formants move with it: a smaller or larger speaker.
    """

    piper: str = "piper-joe/joe.onnx"
    pitch_semitones: float = 0.0
    tempo: float = 1.0
    sentence_pause_seconds: float = 0.3


@dataclass(frozen=True)
class Step:
    """One thing that happens to a sound on its way; exactly one key is set.

    band_hz: only this band passes (Butterworth, 24 dB an octave at either end).
    room: convolved with a room's impulse response.
    clock_ppm: the recorder's clock runs fast by so many parts per million, so the sound comes out
        longer by as much.
    mono: the channels become their mean.
    pan: a mono sound is placed from -1 (left) to 1 (right), at constant power.
    """

    band_hz: tuple[float, ...] | None = None
    room: str | None = None
    clock_ppm: float | None = None
    mono: bool | None = None
    pan: float | None = None


@dataclass(frozen=True)
class Piece:
    """A sound of a clip. Exactly one of its sources is set.

    say: a text, spoken by a voice of the recipe.
    recording: a sound file; as speech it also has ``words``, what is said in it.
    song: a sound file that the clip brings along as its clean song.
    echo: an impulse response; the piece is what a room adds to the clip's own speech, from 2.5 ms
        after the direct sound on.
    tone_hz, noise_seed: a sine, or white Gaussian noise, of ``seconds`` (for tests of the chain).
    pause_seconds: silence between speech pieces.

    ``from_seconds`` and ``to_seconds`` cut the file. ``at_seconds`` is where a background piece
    starts in the clip. Every piece is brought to the same mean power before ``gain_db``, so gains
    say how the pieces of one list stand to each other.
    """

    say: str | None = None
    recording: str | None = None
    song: str | None = None
    echo: str | None = None
    tone_hz: float | None = None
    noise_seed: int | None = None
    pause_seconds: float | None = None
    voice: str | None = None
    words: str | None = None
    seconds: float | None = None
    from_seconds: float = 0.0
    to_seconds: float | None = None
    at_seconds: float = 0.0
    repeat: bool = False
    gain_db: float = 0.0
    through: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Room:
    """A simulated shoebox room (image sources): one place for the speech, one a background piece.

    Places are (x, y, z) in metres from a corner of the floor.
    """

    size_metres: tuple[float, ...]
    rt60_seconds: float
    microphones_metres: tuple[tuple[float, ...], ...]
    speech_metres: tuple[float, ...]
    background_metres: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class ClipRecipe:
    """One clip.

    ``level_db`` is the power of the speech over that of the background, each summed over the whole
    clip and all channels of the final stems: the SNR of the mixture. ``mixing`` is a matrix whose
    rows are the microphones and whose columns are the speech and the background.
    """

    id: str
    scenario: str
    title: str
    level_db: float
    speech: tuple[Piece, ...]
    background: tuple[Piece, ...]
    lead_in_seconds: float = 0.5
    lead_out_seconds: float = 0.5
    mixing: tuple[tuple[float, ...], ...] | None = None
    room: Room | None = None

    @property
    def transcript(self) -> str:
        """Everything that is said, in order."""
        return " ".join(piece.say or piece.words or "" for piece in self.speech if _speaks(piece))

    @property
    def song(self) -> str | None:
        """The file of the clean song that plays in the background."""
        return next((piece.song for piece in self.background if piece.song), None)

    @property
    def microphones_metres(self) -> tuple[tuple[float, float, float], ...] | None:
        """Where the microphones stand, if that is known."""
        if self.room is None:
            return None
        return tuple((x, y, z) for x, y, z in self.room.microphones_metres)

    @property
    def voices(self) -> tuple[str, ...]:
        """Who speaks, each once, in order."""
        return tuple(dict.fromkeys(piece.voice or "?" for piece in self.speech if _speaks(piece)))


@dataclass(frozen=True)
class Recipe:
    """The clips of a suite and the voices that they use."""

    name: str
    summary: str
    clip: tuple[ClipRecipe, ...]
    language: str = "en"
    rate_hz: int = 44100
    peak_dbfs: float = -3.0
    voices: Mapping[str, Voice] = field(default_factory=dict)
    folder: Path = SUITES_FOLDER


def names_of_suites() -> tuple[str, ...]:
    """The suites that come with the project."""
    return tuple(sorted(file.stem for file in SUITES_FOLDER.glob("*.toml")))


def read_recipe(name_or_file: str | Path) -> Recipe:
    """A built-in recipe by name, or the recipe in a TOML file.

    Raises:
        UserError: no such recipe, or anything in it that is unknown, missing or of another type.
    """
    file = Path(name_or_file)
    if file.suffix != ".toml":
        if str(name_or_file) not in names_of_suites():
            hint = suggestion(str(name_or_file), names_of_suites())
            raise UserError(f"there is no suite {str(name_or_file)!r}. {hint}")
        file = SUITES_FOLDER / f"{name_or_file}.toml"
    recipe = dataclasses.replace(read_table(Recipe, read_toml(file), str(file)), folder=file.parent)
    _check(recipe, str(file))
    return recipe


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file; what is wrong with it as a UserError."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file}: there is no such file") from None
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8 text; save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise UserError(f"{file}: {error}") from None


def read_table(kind: type[T], table: Any, where: str) -> T:
    """A dataclass out of a TOML table, every key and type checked against its fields.

    A field of type Path is none of the table's business.

    Raises:
        UserError: naming the key, where it stands, and the nearest one that is known.
    """
    if not isinstance(table, Mapping):
        raise UserError(f"{where}: write a table of keys here, not {table!r}")
    hints = typing.get_type_hints(kind)
    of_kind = dataclasses.fields(kind)  # type: ignore[arg-type]  # T is always a dataclass
    fields = {each.name: each for each in of_kind if hints[each.name] is not Path}
    if isinstance(table.get("id"), str):
        where += f" {table['id']!r}"
    for key in table:
        if key not in fields:
            raise UserError(f"{where} has an unknown key {key!r}. {suggestion(key, fields)}")
    for name, each in fields.items():
        optional = (each.default, each.default_factory) != (dataclasses.MISSING,) * 2
        if name not in table and not optional:
            raise UserError(f"{where} lacks {name!r}")
    return kind(**{key: _value(hints[key], table[key], f"{where}: {key}") for key in table})


def sound_file(reference: str, folder: Path) -> Path:
    """The file that a recipe names, fetched when it is an asset's."""
    if (folder / reference).is_file():
        return folder / reference
    asset, _, file = reference.partition("/")
    return assets.path(asset) / file


def sounds_of(recipe: Recipe, clip: ClipRecipe) -> tuple[str, ...]:
    """Every sound file and voice that a clip is made from."""
    spoken = (recipe.voices[p.voice or ""].piper for p in (*clip.speech, *clip.background) if p.say)
    pieces = (*clip.speech, *clip.background)
    parts = (*pieces, *(step for piece in pieces for step in piece.through))
    named = (getattr(part, key, None) for part in parts for key in SOUND_KEYS)
    return tuple(sorted({*spoken, *filter(None, named)}))


def sound_sha256(reference: str, folder: Path) -> str:
    """SHA-256 of the bytes of a sound file that a recipe names; an asset's is known unfetched."""
    if (folder / reference).is_file():
        return hashlib.sha256((folder / reference).read_bytes()).hexdigest()
    asset, _, file = reference.partition("/")
    return assets.asset_hashes(asset)[file]


def _value(hint: Any, value: Any, where: str) -> Any:
    """A TOML value as the type that a field asks for."""
    if isinstance(hint, types.UnionType):
        hint = next(each for each in typing.get_args(hint) if each is not type(None))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return read_table(hint, value, where)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(inner[0], v, f"{where} {i}") for i, v in enumerate(value, 1))
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {key: _value(inner[1], v, f"{where}.{key}") for key, v in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    wanted = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
    raise UserError(f"{where} must be {wanted.get(hint, 'a list')}, not {value!r}")


def _speaks(piece: Piece) -> bool:
    return piece.pause_seconds is None


def _check(recipe: Recipe, where: str) -> None:
    ids = [clip.id for clip in recipe.clip]
    for clip in recipe.clip:
        here = f"{where}: clip {clip.id!r}"
        for name in (clip.id, clip.scenario):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
                raise UserError(f"{here}: {name!r} names a folder; use letters, digits, . _ -")
        if ids.count(clip.id) > 1:
            raise UserError(f"{where}: two clips are called {clip.id!r}")
        for kind, sources in (("speech", SPEECH_SOURCES), ("background", BACKGROUND_SOURCES)):
            pieces: tuple[Piece, ...] = getattr(clip, kind)
            if not pieces:
                raise UserError(f"{here} has no {kind}")
            for number, piece in enumerate(pieces, 1):
                _check_piece(recipe, piece, sources, f"{here}: {kind} {number}")
        if not any(map(_speaks, clip.speech)):
            raise UserError(f"{here}: its speech is nothing but pauses")
        _check_words(clip, here)
        _check_places(clip, here)
        for reference in sounds_of(recipe, clip):
            _check_sound(reference, recipe.folder, here)


def _check_piece(recipe: Recipe, piece: Piece, sources: Iterable[str], where: str) -> None:
    given = [name for name in sources if getattr(piece, name) is not None]
    if len(given) != 1:
        raise UserError(f"{where} needs exactly one of {', '.join(sources)}")
    if piece.say is not None and piece.voice not in recipe.voices:
        hint = suggestion(piece.voice or "", recipe.voices)
        raise UserError(f"{where}: there is no voice {piece.voice!r}. {hint}")
    if given[0] in ("tone_hz", "noise_seed") and not piece.seconds:
        raise UserError(f"{where}: {given[0]} needs seconds, how long it lasts")
    for step in piece.through:
        keys = [key for key, value in vars(step).items() if value is not None]
        if len(keys) != 1:
            known = ", ".join(each.name for each in dataclasses.fields(Step))
            raise UserError(f"{where}: each step in through has exactly one of {known}")
        if step.band_hz is not None and not (
            len(step.band_hz) == 2 and 0 < step.band_hz[0] < step.band_hz[1] < recipe.rate_hz / 2
        ):
            raise UserError(f"{where}: band_hz is [low, high], between 0 and half the rate")


def _check_words(clip: ClipRecipe, where: str) -> None:
    for number, piece in enumerate(clip.speech, 1):
        if _speaks(piece) and piece.say is None and not piece.words:
            raise UserError(f"{where}: speech {number} lacks words, what is said in it")
    if sum(piece.song is not None for piece in clip.background) > 1:
        raise UserError(f"{where} has more than one song; write the others as recordings")


def _check_places(clip: ClipRecipe, where: str) -> None:
    if clip.mixing is not None and clip.room is not None:
        raise UserError(f"{where} has both a mixing matrix and a room; choose one")
    if clip.mixing is not None and any(len(row) != 2 for row in clip.mixing):
        raise UserError(f"{where}: each row of mixing has two gains: speech, background")
    if clip.room is None:
        return
    room = clip.room
    if len(room.background_metres) != len(clip.background):
        raise UserError(f"{where}: room.background_metres needs one place a background piece")
    places = (*room.microphones_metres, room.speech_metres, *room.background_metres)
    for place in places:
        inside = len(place) == len(room.size_metres) == 3 and all(
            0 < x < size for x, size in zip(place, room.size_metres, strict=True)
        )
        if not inside:
            raise UserError(f"{where}: {list(place)} is not inside {list(room.size_metres)} metres")


def _check_sound(reference: str, folder: Path, where: str) -> None:
    if (folder / reference).is_file():
        return
    asset, _, file = reference.partition("/")
    known = assets.catalogue()
    if asset not in known:
        hint = suggestion(asset, known)
        raise UserError(f"{where}: {reference!r} is neither a file nor an asset's. {hint}")
    files = [each.name for each in known[asset].files]
    if file not in files:
        raise UserError(f"{where}: asset {asset} has no {file!r}. {suggestion(file, files)}")
