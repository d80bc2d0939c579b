"""The sound of a clip: a recipe rendered to a speech stem, a background stem and a clean song.

Every step is deterministic: Piper speaks without its two noises on one thread, the simulated room
is summed on one thread, and both stems end on the grid of 24-bit integers, so that their sum, the
mixture, is exact in a lossless file.

Sounds are float64 ``(channels, samples)`` at the recipe's rate until they are quantised.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio
from benchmarks.errors import UserError
from benchmarks.media import read_audio
from benchmarks.recipe import ClipRecipe, Piece, Recipe, Room, Step, Voice, sound_file

if TYPE_CHECKING:
    from piper import PiperVoice

Sound = NDArray[np.float64]

FULL_SCALE = 2.0**23  # of 24-bit integers
DIRECT_SECONDS = 0.0025  # what arrives later than this after the direct sound is reverberation
FADE_SECONDS = 0.01
PREROLL_SECONDS = 1.0  # a song has played before the clip begins, so its echo is already there


@dataclass(frozen=True)
class Scene:
    """What a clip sounds like; both stems are images at the microphones."""

    speech: Audio
    background: Audio
    song: Audio | None

    @property
    def mixture(self) -> Audio:
        """The exact sum of the stems."""
        return self.speech.like(self.speech.samples + self.background.samples)


def render(recipe: Recipe, clip: ClipRecipe) -> Scene:
    """The sound of one clip.

    Raises:
        UserError: a sound that can't be had or read, or a stem that comes out silent.
    """
    speech = _speech(recipe, clip)
    song = _song(recipe, clip)
    pieces = [_background(recipe, piece, speech, song) for piece in clip.background]
    if clip.room is not None:
        stems = _in_room(clip.room, speech, pieces, recipe.rate_hz)
    else:
        stems = _at_microphones(clip.mixing, speech, pieces)
    speech, background = _levelled(clip, *stems)
    peak = max(np.abs(sound).max() for sound in (speech, background, speech + background))
    gain = 10 ** (recipe.peak_dbfs / 20) / peak
    return Scene(
        _quantised(speech * gain, recipe.rate_hz),
        _quantised(background * gain, recipe.rate_hz),
        None if song is None else Audio.of(song, recipe.rate_hz),
    )


def _speech(recipe: Recipe, clip: ClipRecipe) -> Sound:
    """The speech pieces one after the other, between the silences of lead-in and lead-out."""

    def silence(seconds: float) -> Sound:
        return np.zeros((1, round(seconds * recipe.rate_hz)))

    said = [silence(clip.lead_in_seconds)]
    for piece in clip.speech:
        if piece.pause_seconds is not None:
            said.append(silence(piece.pause_seconds))
        else:
            sound = _faded(_cut(recipe, piece, _source(recipe, piece)), recipe.rate_hz)
            said.append(_at_unit_power(_through(recipe, piece.through, sound), piece.gain_db))
    said.append(silence(clip.lead_out_seconds))
    channels = max(map(len, said))
    return np.concatenate([_widened(sound, channels) for sound in said], axis=1)


def _song(recipe: Recipe, clip: ClipRecipe) -> Sound | None:
    """The whole clean song on the 24-bit grid, so that what is mixed is what the clip gives."""
    if clip.song is None:
        return None
    track = _read(recipe, clip.song)
    track = track / max(1.0, float(np.abs(track).max()) / 0.999)
    return np.asarray(_quantised(track, recipe.rate_hz).samples, dtype=np.float64)


def _background(recipe: Recipe, piece: Piece, speech: Sound, song: Sound | None) -> Sound:
    """One background piece, as long as the speech."""
    start = round(piece.at_seconds * recipe.rate_hz)
    room = speech.shape[1] - start
    if room <= 0:
        raise UserError(f"a background piece starts at {piece.at_seconds} s, after the clip's end")
    if piece.song is not None and song is not None:
        sound = _played(recipe, piece, song, room)
    elif piece.echo is not None:
        sound = _echo(recipe, piece.echo, speech)
        sound = _through(recipe, piece.through, sound)
    else:
        sound = _cut(recipe, piece, _source(recipe, piece))
        if piece.repeat:
            sound = np.tile(sound, -(-room // sound.shape[1]))
        sound = _through(recipe, piece.through, _faded(sound[:, :room], recipe.rate_hz))
    sound = _at_unit_power(sound[:, :room], piece.gain_db)
    return np.pad(sound, ((0, 0), (start, room - sound.shape[1])))


def _source(recipe: Recipe, piece: Piece) -> Sound:
    """What a piece sounds like before it is cut and sent on its way."""
    if piece.say is not None:
        return _spoken(recipe, piece.say, recipe.voices[piece.voice or ""])
    if piece.recording is not None:
        return _read(recipe, piece.recording)
    samples = round((piece.seconds or 0.0) * recipe.rate_hz)
    if piece.tone_hz is not None:
        turns = piece.tone_hz / recipe.rate_hz * np.arange(samples)
        return np.atleast_2d(np.sin(2 * np.pi * turns))
    return np.random.default_rng(piece.noise_seed).standard_normal((1, samples))


def _read(recipe: Recipe, reference: str) -> Sound:
    audio = read_audio(sound_file(reference, recipe.folder), rate_hz=recipe.rate_hz)
    return np.asarray(audio.samples, dtype=np.float64)


def _cut(recipe: Recipe, piece: Piece, sound: Sound) -> Sound:
    stop = None if piece.to_seconds is None else round(piece.to_seconds * recipe.rate_hz)
    cut = sound[:, round(piece.from_seconds * recipe.rate_hz) : stop]
    if cut.shape[1] == 0:
        seconds = sound.shape[1] / recipe.rate_hz
        raise UserError(
            f"{piece.recording or piece.song}: nothing lies between from_seconds = "
            f"{piece.from_seconds} and to_seconds = {piece.to_seconds}; it lasts {seconds:.2f} s"
        )
    return cut


def _played(recipe: Recipe, piece: Piece, song: Sound, samples: int) -> Sound:
    """The song from where it is wanted, sent through its steps with what played before it."""
    rate = recipe.rate_hz
    start = round(piece.from_seconds * rate)
    before = min(start, round(PREROLL_SECONDS * rate))
    needed = song[:, start - before : start + samples + rate]
    played = _through(recipe, piece.through, needed)[:, before : before + samples]
    if played.shape[1] < samples:
        raise UserError(f"{piece.song} ends before the clip does; lower its from_seconds")
    return played


def _echo(recipe: Recipe, room: str, speech: Sound) -> Sound:
    """What a room adds to the speech: its response from 2.5 ms after the direct sound on."""
    response = _read(recipe, room)
    direct = np.abs(response).argmax(axis=1)
    late = round(DIRECT_SECONDS * recipe.rate_hz)
    tails = [
        np.r_[np.zeros(late), row[peak + late :]]
        for row, peak in zip(response, direct, strict=True)
    ]
    length = max(map(len, tails))
    tail = np.stack([np.pad(row, (0, length - len(row))) for row in tails])
    return _convolved(speech, tail)[:, : speech.shape[1]]


def _through(recipe: Recipe, steps: tuple[Step, ...], sound: Sound) -> Sound:
    """A sound after its steps, in order."""
    for step in steps:
        if step.band_hz is not None:
            sound = _band(sound, step.band_hz, recipe.rate_hz)
        elif step.room is not None:
            response = _read(recipe, step.room)
            sound = _convolved(sound, response)[:, : sound.shape[1]]
        elif step.clock_ppm is not None:
            sound = _resampled(sound, recipe.rate_hz, recipe.rate_hz * (1 + 1e-6 * step.clock_ppm))
        elif step.mono:
            sound = sound.mean(axis=0, keepdims=True)
        elif step.pan is not None:
            angle = np.pi / 4 * (1 + step.pan)
            sound = np.array([[np.cos(angle)], [np.sin(angle)]]) * sound.mean(axis=0)
    return sound


def _band(sound: Sound, band_hz: tuple[float, ...], rate_hz: int) -> Sound:
    from scipy.signal import butter, sosfilt

    sections = butter(4, band_hz, btype="bandpass", fs=rate_hz, output="sos")
    return np.asarray(sosfilt(sections, sound, axis=1))


def _convolved(sound: Sound, response: Sound) -> Sound:
    """Channel by channel; a mono side serves every channel of the other."""
    from scipy.signal import fftconvolve

    channels = max(len(sound), len(response))
    pair = _widened(sound, channels), _widened(response, channels)
    return np.asarray(fftconvolve(*pair, mode="full", axes=1))


def _resampled(sound: Sound, rate_hz: float, new_rate_hz: float) -> Sound:
    import soxr

    return np.asarray(soxr.resample(sound.T, rate_hz, new_rate_hz, quality="VHQ").T)


def _spoken(recipe: Recipe, text: str, voice: Voice) -> Sound:
    """A text in a voice, with a pause after each sentence but the last."""
    ratio = 2 ** (voice.pitch_semitones / 12)
    pause = np.zeros((1, round(voice.sentence_pause_seconds * recipe.rate_hz)))
    parts: list[Sound] = []
    for sentence, rate_hz in _sentences(text, voice, recipe.folder, ratio / voice.tempo):
        parts += [_resampled(sentence, rate_hz * ratio, recipe.rate_hz), pause]
    return np.concatenate(parts[:-1], axis=1)


def _sentences(
    text: str, voice: Voice, folder: Path, length_scale: float
) -> Iterator[tuple[Sound, int]]:
    from piper import SynthesisConfig

    # Without its two noises Piper is deterministic: the same text gives the same samples.
    config = SynthesisConfig(
        length_scale=length_scale, noise_scale=0.0, noise_w_scale=0.0, normalize_audio=False
    )
    for chunk in _piper(sound_file(voice.piper, folder)).synthesize(text, config):
        yield chunk.audio_float_array[None].astype(np.float64), chunk.sample_rate


@functools.cache
def _piper(model: Path) -> PiperVoice:
    """A voice on one thread; its own loader would take them all."""
    import json

    import onnxruntime
    from piper import PiperVoice
    from piper.config import PiperConfig

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    config = json.loads(model.with_name(f"{model.name}.json").read_text(encoding="utf-8"))
    return PiperVoice(session=session, config=PiperConfig.from_dict(config))


def _in_room(room: Room, speech: Sound, pieces: list[Sound], rate_hz: int) -> tuple[Sound, Sound]:
    """The images of the speech and of the background at the microphones of a simulated room."""
    import pyroomacoustics as pra

    threads = pra.constants.get("num_threads")
    pra.constants.set("num_threads", 1)  # the order of summation moves the last bits
    try:
        absorption, order = pra.inverse_sabine(room.rt60_seconds, room.size_metres)
        shoebox = pra.ShoeBox(
            room.size_metres, fs=rate_hz, materials=pra.Material(absorption), max_order=order
        )
        for place in (room.speech_metres, *room.background_metres):
            shoebox.add_source(list(place))
        shoebox.add_microphone_array(np.array(room.microphones_metres).T)
        shoebox.compute_rir()
    finally:
        pra.constants.set("num_threads", threads)

    def image(source: int, sound: Sound) -> Sound:
        mono = sound.mean(axis=0, keepdims=True)
        heard = [_convolved(mono, np.atleast_2d(row[source])) for row in shoebox.rir]
        return np.concatenate([row[:, : sound.shape[1]] for row in heard])

    images = [image(number, sound) for number, sound in enumerate(pieces, 1)]
    return image(0, speech), np.sum(images, axis=0)


def _at_microphones(
    mixing: tuple[tuple[float, ...], ...] | None, speech: Sound, pieces: list[Sound]
) -> tuple[Sound, Sound]:
    """Both stems as two channels, or spread over microphones by a matrix of gains."""
    channels = max(2, len(speech), *map(len, pieces))
    background = np.sum([_widened(piece, channels) for piece in pieces], axis=0)
    if mixing is None:
        return _widened(speech, channels), background
    gains = np.array(mixing)
    return gains[:, :1] * speech.mean(axis=0), gains[:, 1:] * background.mean(axis=0)


def _levelled(clip: ClipRecipe, speech: Sound, background: Sound) -> tuple[Sound, Sound]:
    """The background scaled so that the clip has its level."""
    powers = np.mean(speech**2), np.mean(background**2)
    for name, power in zip(("speech", "background"), powers, strict=True):
        if power == 0:
            raise UserError(f"clip {clip.id!r}: its {name} is silent")
    gain = np.sqrt(powers[0] / powers[1]) * 10 ** (-clip.level_db / 20)
    return speech, background * gain


def _at_unit_power(sound: Sound, gain_db: float) -> Sound:
    power = np.mean(sound**2)
    return sound * (10 ** (gain_db / 20) / np.sqrt(power)) if power else sound


def _faded(sound: Sound, rate_hz: int) -> Sound:
    """A sound with both ends faded, so that a cut doesn't click."""
    samples = min(round(FADE_SECONDS * rate_hz), sound.shape[1] // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, samples)) ** 2
    faded = sound.copy()
    faded[:, :samples] *= ramp
    faded[:, faded.shape[1] - samples :] *= ramp[::-1]
    return faded


def _widened(sound: Sound, channels: int) -> Sound:
    return np.repeat(sound, channels, axis=0) if len(sound) == 1 else sound


def _quantised(sound: Sound, rate_hz: int) -> Audio:
    """On the grid of 24-bit integers, which float32 holds exactly; they know no minus zero."""
    return Audio.of(np.rint(sound * FULL_SCALE) / FULL_SCALE + 0.0, rate_hz)
