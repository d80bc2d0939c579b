"""Recordings of a voice over a known song, as the tests of the song's search and removal need them.

The sounds are recordings of the assets' catalogue at 16 kHz. A song comes to a recording in three
steps: which of its seconds play when, what is done to it on its way, and how loud it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, oaconvolve, sosfilt

from benchmarks import assets
from benchmarks.contract import Audio, Clip
from benchmarks.media import read_audio, resample

RATE_HZ = 16000
LEAD_SECONDS = 1.0  # what plays before the recording begins, and echoes in it

Sound = NDArray[np.float64]
Way = Callable[[Sound], Sound]
# From one second of the recording to another the song plays, from that second of its own on.
Play = tuple[float, float, float]

BAND = "music-moods/happy_acoustic_2.opus"
GUITAR = "music-moods/calm_acoustic_s411.opus"
SYNTHESISERS = "music-moods/energetic_electronic_2.opus"
FILM = "music-moods/nostalgic_acoustic_s522.opus"


@functools.cache
def song(file: str = BAND, rate_hz: int = RATE_HZ) -> Audio:
    """A song of 25 s or more, in stereo."""
    asset, name = file.split("/")
    return read_audio(assets.path(asset) / name, rate_hz=rate_hz)


@functools.cache
def voice(seconds: float = 8.0) -> Sound:
    """A reader, in mono, who pauses between sentences."""
    whole = read_audio(assets.path("recording-two-cities") / "two_cities.wav", rate_hz=RATE_HZ)
    start = 8 * RATE_HZ
    return whole.mono()[start : start + round(seconds * RATE_HZ)].astype(np.float64)


def played(clean: Audio, plays: Sequence[Play], seconds: float) -> Sound:
    """The song's samples where it plays, from ``LEAD_SECONDS`` before the recording on."""
    out = np.zeros((clean.channels, round((seconds + 2 * LEAD_SECONDS) * RATE_HZ)))
    for start, stop, at in plays:
        first, last = (round((each + LEAD_SECONDS) * RATE_HZ) for each in (start, stop))
        begin = round(at * RATE_HZ)
        there = clean.samples[:, begin : begin + min(last, out.shape[1]) - first]
        out[:, first : first + there.shape[1]] = there
    return out


def clip_with(
    plays: Sequence[Play] = ((-1.0, 99.0, 6.0),),
    *ways: Way,
    clean: Audio | None = None,
    level_db: float = 0.0,
    seconds: float = 8.0,
) -> Clip:
    """A voice over a song that came that way; the voice is ``level_db`` louder."""
    clean = clean or song()
    heard = played(clean, plays, seconds)
    for way in ways:
        heard = way(heard)
    heard = heard[:, round(LEAD_SECONDS * RATE_HZ) :][:, : round(seconds * RATE_HZ)]
    spoken = np.tile(voice(seconds), (len(heard), 1))
    heard = heard * np.sqrt((spoken**2).mean() / (heard**2).mean()) * 10 ** (-level_db / 20)
    stems = [Audio.of(each, RATE_HZ) for each in (spoken, heard)]
    mixture = Audio.of(stems[0].samples + stems[1].samples, RATE_HZ)
    return Clip("clip", "music", mixture, speech=stems[0], background=stems[1], song=clean)


# --- what happens to a song on its way


def room(rt60_seconds: float = 0.4, seed: int = 1) -> Way:
    """Direct sound and a diffuse answer of about the same power, another one in each channel."""

    def way(sound: Sound) -> Sound:
        random = np.random.default_rng(seed)
        time = np.arange(round(1.2 * rt60_seconds * RATE_HZ)) / RATE_HZ
        answer = random.standard_normal((len(sound), time.size)) * 10 ** (-3 * time / rt60_seconds)
        answer *= time > 0.004
        answer /= np.sqrt((answer**2).sum(axis=1, keepdims=True))
        answer[:, 0] = 0.7
        return np.asarray(oaconvolve(sound, answer, axes=1))[:, : sound.shape[1]]

    return way


def microphone(sound: Sound) -> Sound:
    """300 to 5000 Hz."""
    sections = butter(4, (300, 5000), btype="bandpass", fs=RATE_HZ, output="sos")
    return np.asarray(sosfilt(sections, sound, axis=1))


def clock(ppm: float) -> Way:
    """A recorder whose clock is that much faster than the player's."""

    def way(sound: Sound) -> Sound:
        return np.asarray(soxr.resample(sound.T, 1.0, 1.0 + 1e-6 * ppm, quality="VHQ").T)

    return way


def automatic_gain(sound: Sound) -> Sound:
    """Down by 9 dB at second 3, and slowly up again."""
    time = np.arange(sound.shape[1]) / RATE_HZ - LEAD_SECONDS
    return sound * np.interp(time, [2.95, 3.0, 8.0], [1.0, 0.35, 0.8])


def mono(sound: Sound) -> Sound:
    return np.asarray(sound.mean(axis=0, keepdims=True))


def walking(sound: Sound) -> Sound:
    """A microphone that is carried through a room: four answers that fade into each other."""
    place = np.linspace(0.0, 3.0, sound.shape[1])
    return np.asarray(
        sum(np.clip(1.0 - np.abs(place - n), 0.0, 1.0) * room(seed=n)(sound) for n in range(4))
    )


def at_rate(clip: Clip, rate_hz: int) -> Clip:
    """The clip at another rate; its song stays as it is."""
    tracks = [clip.mixture, clip.speech, clip.background]
    mixture, speech, background = (resample(track, rate_hz) for track in tracks if track)
    return Clip(clip.id, clip.scenario, mixture, speech, background, song=clip.song)
