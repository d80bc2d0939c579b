"""Reference subtraction: the song is known, so take out of the recording what arrived of it.

The idea is that of TrackSubtract: who has the clean song needs no guess at what is music, but has
to know how the song was changed on its way into the recording. Four steps, in spans of some seconds
that fade into each other, since a phone that moves hears another room:

1. *Search*, :mod:`methods._song_search`: where in the span the song plays, from which of its own
   seconds on, and at what speed. Where it does not play, nothing is touched, and a note says so.
2. *Playing*: the song's passages are cut out and resampled to the recording's clock.
3. *Path*, :mod:`methods._song_path`: how each frequency was changed by loudspeaker, room,
   microphone and automatic gain, learned where the voice is weak.
4. *Subtraction* of the song as it is heard, in the frequency domain. What is left is the vocals,
   with the recording's own phases. Or only its magnitudes are kept, and a waveform that has them
   is built by Griffin and Lim; the tracks do not sum to the mixture then.

Measured: on the suite's four songs the vocals gain 35 to 56 dB of SI-SDR. Their ways are linear and
hold still, as those of the world seldom do. Where a microphone is carried around it is 7 to 12 dB;
where a loudspeaker or a codec distorts the song, 16 to 19 dB, since only what is linear is learned;
where the recorder's gain follows each syllable of the voice, 7 to 22 dB. Echoes are learned for
0.25 s. Whatever else sounds is voice to this method: a singer over a known instrumental stays. A
song or a recording of less than 0.25 s is not searched.

A recording of any length is taken in blocks of two minutes, each searched anew: in 8 minutes of
stereo at 44.1 kHz the process held 650 MiB at most, at 0.25 times real time on one core. By Griffin
and Lim these blocks are rebuilt one by one, and phases jump where two meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Blocks, Clip, Estimate, Option, Samples, method
from methods._masking import framing
from methods._song_path import as_heard
from methods._song_playing import AUDIBLE, BACK, CleanSong, Playing
from methods._song_search import Passage, SongIndex
from methods._stft import STFT, Spectrum

WINDOW_SECONDS = 0.093
QUARTERS_A_CORE = 24  # of a span: two minutes for the usual span


def _blocks(rate_hz: int, span_seconds: float) -> Blocks:
    """Cores of eight spans' hops, and a hop around them: spans start at the same samples always."""
    quarter = _quarter(rate_hz, span_seconds)
    return Blocks(core=QUARTERS_A_CORE * quarter, context=3 * quarter)


@method(
    family="reference",
    paper=(
        "Talmon, Cohen and Gannot 2009, Relative transfer function identification using "
        "convolutive transfer function approximation; Griffin and Lim 1984; Perraudin, Balazs and "
        "Søndergaard 2013, A fast Griffin-Lim algorithm"
    ),
    needs=("song",),
    blocks=_blocks,
)
def reference_subtraction(
    clip: Clip,
    *,
    span_seconds: Annotated[
        float, Option("how long the song's path is taken to stay as it is", 2.0, 120.0)
    ] = 20.0,
    reconstruction: Annotated[
        Literal["phase", "griffin-lim"],
        Option("keep the recording's phases, or build the vocals anew from their magnitudes"),
    ] = "phase",
    iterations: Annotated[int, Option("of Griffin and Lim", 1, 1000)] = 32,
    momentum: Annotated[
        float, Option("of the fast Griffin and Lim algorithm; 0 is the original one", 0.0, 0.999)
    ] = 0.99,
    seed: Annotated[int, Option("of the phases that Griffin and Lim begin with", 0, 2**32 - 1)] = 0,
) -> Estimate:
    """Find the known song, learn how it was changed on its way, and subtract it as it arrived."""
    assert clip.song is not None  # the harness checks needs
    index, song, mixture = SongIndex(clip.song), CleanSong.of(clip.song), clip.mixture
    background = np.zeros_like(mixture.samples)
    finds: list[Find] = []
    for span, weights in _spans(mixture, span_seconds):
        heard, found = _heard_in(mixture.cut(span.start, span.stop), song, index)
        background[:, span] += weights * heard
        finds += [find.later(span.start / mixture.rate_hz) for find in found]
    if not finds:
        return Estimate(mixture, mixture.like(np.zeros_like(mixture.samples)), (_not_found(clip),))
    vocals = mixture.samples - background
    if reconstruction == "griffin-lim":
        vocals = _rebuilt(
            vocals, framing(mixture.rate_hz, WINDOW_SECONDS), iterations, momentum, seed
        )
    notes = tuple(find.later(clip.start_seconds).note for find in _merged(finds))
    return Estimate(mixture.like(vocals), mixture.like(background), notes)


def _not_found(clip: Clip) -> str:
    stop_seconds = clip.start_seconds + clip.mixture.seconds
    return (
        f"The song was not found from {clip.start_seconds:.1f} s to {stop_seconds:.1f} s, "
        "so nothing was taken out there."
    )


class Find(NamedTuple):
    """A stretch of a recording in which the song is heard; times are the recording's."""

    start_seconds: float
    stop_seconds: float
    song_seconds: float  # of the song, heard at the start
    speed: float
    gain_db: float

    def later(self, seconds: float) -> Find:
        return self._replace(
            start_seconds=self.start_seconds + seconds, stop_seconds=self.stop_seconds + seconds
        )

    def goes_on_in(self, other: Find) -> bool:
        """Whether the other begins before this one ends, at the same place of the song."""
        passed = other.start_seconds - self.start_seconds
        off = other.song_seconds - self.song_seconds - passed * self.speed
        return other.start_seconds <= self.stop_seconds + 1.0 and abs(off) < 0.1

    @property
    def note(self) -> str:
        ppm = round(1e6 * (self.speed - 1.0))
        pace = f"{abs(ppm)} ppm too {'fast' if ppm > 0 else 'slow'}" if ppm else "at its own speed"
        return (
            f"The song plays from {self.start_seconds:.1f} s to {self.stop_seconds:.1f} s, from "
            f"its own second {self.song_seconds:.2f} on, {pace}, "
            f"at a gain of {self.gain_db:.1f} dB."
        )


def _merged(finds: list[Find]) -> list[Find]:
    """Finds of overlapping spans, as one where it is the same passage."""
    merged: list[Find] = []
    for find in sorted(finds):
        before = next((one for one in merged if one.goes_on_in(find)), None)
        if before is None:
            merged.append(find)
        else:
            stop = max(before.stop_seconds, find.stop_seconds)
            merged[merged.index(before)] = before._replace(stop_seconds=stop)
    return merged


def _heard_in(recording: Audio, song: CleanSong, index: SongIndex) -> tuple[Samples, list[Find]]:
    """The song as it sounds in a recording of some seconds, and where it does."""
    passages = index.find(recording)
    if not passages:
        return np.zeros_like(recording.samples), []
    stft = framing(recording.rate_hz, WINDOW_SECONDS)
    spectra = stft.forward(recording.samples)
    playings = [song.playing(passage, recording, stft) for passage in passages]
    hz = np.arange(stft.bins) * recording.rate_hz / stft.window
    heard = as_heard(spectra, playings, hz, _filled(stft, recording.length))
    finds = [
        find
        for passage, playing in zip(passages, playings, strict=True)
        if (find := _find(passage, playing, heard, song, stft.hop / recording.rate_hz))
    ]
    return stft.inverse(heard, recording.length), finds


def _find(
    passage: Passage, playing: Playing, heard: Spectrum, song: CleanSong, hop_seconds: float
) -> Find | None:
    """Where a passage was really heard, as its gain and its delay have it; None: nowhere."""
    times = hop_seconds * (playing.first + np.arange(playing.gain.size))
    own = passage.song_seconds + passage.speed * (times - playing.delay_seconds)
    audible = (playing.gain > AUDIBLE) & (own >= 0.0) & (own <= song.audio.seconds)
    (frames,) = np.nonzero(audible)
    if not frames.size:
        return None
    first, last = frames[0], frames[-1]
    arrived = np.square(np.abs(heard[:, playing.first + frames])).sum(axis=2).mean()
    sent = np.square(np.abs(playing.spectra[:, :, BACK + frames])).sum(axis=0).mean()
    pace = np.polyfit(times[frames], own[frames], 1)[0] if last > first else passage.speed
    return Find(
        start_seconds=float(times[first]),
        stop_seconds=float(times[last]),
        song_seconds=float(own[first]),
        speed=float(pace),
        gain_db=10 * float(np.log10(max(arrived, 1e-30) / max(sent, 1e-30))),
    )


def _filled(stft: STFT, length: int) -> NDArray[np.bool_]:
    """Which frames are filled by a recording of that length."""
    centres = stft.hop * np.arange(stft.frames(length))
    half = stft.window // 2
    return np.asarray((centres >= half) & (centres + half <= length))


def _quarter(rate_hz: int, span_seconds: float) -> int:
    """Samples in a quarter of a span, over which one span fades into the next."""
    return round(span_seconds * rate_hz / 4)


def _spans(mixture: Audio, span_seconds: float) -> Iterator[tuple[slice, Samples]]:
    """Spans that overlap by a quarter, with weights that add up to 1 everywhere."""
    quarter = _quarter(mixture.rate_hz, span_seconds)
    rising = (np.arange(quarter, dtype=np.float32) + 0.5) / quarter
    for start in range(0, max(mixture.length - quarter, 1), 3 * quarter):
        stop = min(start + 4 * quarter, mixture.length)
        weights = np.ones(stop - start, np.float32)
        if start > 0:
            weights[:quarter] = rising
        if stop < mixture.length:
            weights[-quarter:] = rising[::-1]
        yield slice(start, stop), weights


def _rebuilt(vocals: Samples, stft: STFT, iterations: int, momentum: float, seed: int) -> Samples:
    """Waveforms with the magnitudes of these, whatever their phases; upright as these are."""
    import librosa

    rebuilt = np.zeros_like(vocals)
    for out, channel in zip(rebuilt, vocals, strict=True):
        magnitudes = np.abs(stft.forward(channel[np.newaxis])[0])
        wave = librosa.griffinlim(
            magnitudes.T,
            n_iter=iterations,
            hop_length=stft.hop,
            length=channel.size,
            momentum=momentum,
            random_state=seed,
        )
        out[:] = wave if wave @ channel >= 0 else -wave
    return rebuilt
