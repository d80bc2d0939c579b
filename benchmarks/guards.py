"""Guards: whether an estimate is what it is taken for, looked at before it is scored.

A score says how far a track is from the truth, not why. A track that is late, upside down, ten
times too loud or simply the mixture scores like a bad separation, and a reader blames the method's
idea. So each estimate is looked at first, and what is found goes into the rows of its scores as a
remark. Nothing is mended: no track is aligned, scaled, turned or re-ordered before it is scored.

Tracks of a wrong length, rate or shape, and such with NaN, never come here: they are no estimates,
and their cells fail with that reason (:meth:`benchmarks.contract.Estimate.problem`).

The decisions are wary: each threshold lies far beyond what separations that are merely bad do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Clip, Estimate, Family, Samples

Real = NDArray[np.float64]

EXCERPT_SECONDS = 30.0  # looked at of a long track, from its start: a wrong speed shows from there
THE_SAME_DB = 60.0  # a track this close to the mixture, gain aside, was not separated
ALIKE = 0.3  # correlation from which a track is a copy, if a poor one, of another
TOO_LOUD_DB = 20.0  # ten times the true level
TOO_SOFT_DB = -40.0  # a careful mask may well come down to a tenth; nn-filter's do
LOST_DB = -6.0  # of what is true, in both tracks together: half of it is in neither
OVER_MIXTURE_DB = 12.0  # a part that is four times as strong as the whole
LONGEST_DELAY_SECONDS = 1.0
DELAY_OVER_CHANCE = 12.0  # how far a peak must stand above the spread of all other delays
SURE_DELAY = 0.15  # of 1, a mere copy: what is left between channels reaches 0.08
DELAY_OVER_NONE = 4.0  # how far the peak of a delay must stand above what stands at no delay
INAUDIBLE = 1e-6  # of the strongest frequency: resampled tracks have nothing but errors there
SHORTEST_MISSING_SECONDS = 0.25
SOUNDING_DB = -40.0  # below a track's own mean level: what is missing there was silence anyway
CLIPPED_RUN_SAMPLES, CLIPPED_RUNS = 3, 5
SWAPPED = 0.5  # correlation of middle, side and swapped track with the truth; one sign is turned
FAINT_SIDE_DB = -30.0  # below the middle: left and right differ too little to be swapped
# Rates that are mistaken for each other, in Hz.
USUAL_RATES_HZ = (8000, 16000, 22050, 24000, 32000, 44100, 48000)


def remarks(clip: Clip, estimate: Estimate, family: Family) -> dict[str, list[str]]:
    """What a reader of the scores should know of each track; mostly nothing.

    Args:
        clip: with its true tracks, where they are known: they make some decisions surer.
        estimate: two tracks of the mixture's shape and rate.
        family: of the method; a floor gives the mixture back on purpose.

    Returns:
        Sentences without a full stop, for "vocals" and for "background". A track that is the
        mixture comes with the method's own notes, which may explain it.
    """
    note = "; ".join(note.rstrip(".") for note in estimate.notes)
    found = {}
    for target, track, other, truth in (
        ("vocals", estimate.vocals, estimate.background, clip.speech),
        ("background", estimate.background, estimate.vocals, clip.background),
    ):
        tracks = _Tracks.of(track, other, clip.mixture, truth)
        seen = _seen(tracks, family, note) if tracks else ()
        cut_short = _truncated(track, clip.mixture, truth)
        found[target] = [f"{target}: {what}" for what in (*seen, cut_short) if what]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Tracks:
    """What a track is judged by, in float64: the beginning where it is long.

    ``truth`` is the mixture where the truth is not known, or silent.
    """

    track: Real
    both: Real
    mixture: Real
    truth: Real
    truth_is_known: bool
    rate_hz: int

    @classmethod
    def of(cls, track: Audio, other: Audio, mixture: Audio, truth: Audio | None) -> _Tracks | None:
        """None where there is nothing to judge: the metrics speak of silence."""
        e, o, m = (_excerpt(one) for one in (track, other, mixture))
        s = m if truth is None else _excerpt(truth)
        if not e.any() or not m.any():
            return None
        known = truth is not None and bool(s.any())
        return cls(e, e + o, m, s if known else m, known, mixture.rate_hz)


def _seen(tracks: _Tracks, family: Family, note: str) -> Iterator[str | None]:
    """All that is odd about a track, in the order in which it explains most."""
    the_mixture = _is_the_mixture(tracks.track, tracks.mixture)
    if the_mixture is not None:
        true = tracks.truth_is_known and _is_the_mixture(tracks.truth, tracks.mixture) is not None
        if family != "floor" and not true:
            yield f"{the_mixture}; the method notes: {note}" if note else the_mixture
        return
    yield _misplaced(tracks)
    yield _inverted(tracks)
    yield _off_level(tracks)
    yield _clipped(tracks)
    yield _swapped_channels(tracks)


def _is_the_mixture(track: Real, mixture: Real) -> str | None:
    """Whether a track is the mixture at any gain."""
    if np.array_equal(track, mixture):
        return "the mixture itself, sample by sample"
    gain = float(np.vdot(mixture, track) / np.vdot(mixture, mixture))
    rest = track - gain * mixture
    if gain == 0.0 or np.vdot(rest, rest) > np.vdot(track, track) * 10 ** (-THE_SAME_DB / 10):
        return None
    gain_db = 20 * math.log10(abs(gain))
    level = f" at {gain_db:+.1f} dB" if abs(gain_db) >= 0.05 else ""
    return f"the mixture itself{level}{', upside down' if gain < 0 else ''}"


def _misplaced(tracks: _Tracks) -> str | None:
    """Whether a track comes late, early, or at another speed than the mixture."""
    rate_hz = tracks.rate_hz
    delay = _delay_samples(tracks.track, tracks.mixture, rate_hz)
    if delay == 0:
        return None
    if delay is not None:
        samples = f"{abs(delay)} samples ({1000 * abs(delay) / rate_hz:.1f} ms)"
        return f"{samples} {'late' if delay > 0 else 'early'}, by its correlation with the mixture"
    for other_hz in USUAL_RATES_HZ:
        if other_hz != rate_hz and _is_at_rate(tracks, other_hz):
            return f"at the wrong rate: made for {other_hz} Hz and given out as {rate_hz} Hz"
    return None


def _is_at_rate(tracks: _Tracks, rate_hz: int) -> bool:
    """Whether a track fits the mixture when its samples are taken for ones of another rate."""
    from benchmarks.media import resample

    again = resample(Audio.of(tracks.track, rate_hz), tracks.rate_hz).samples
    return _delay_samples(again, tracks.mixture, tracks.rate_hz) is not None


def _delay_samples(track: Real | Samples, mixture: Real, rate_hz: int) -> int | None:
    """By how much a track comes after the mixture; None where nothing stands out from chance.

    From the correlation of the two with all frequencies made equally strong (Knapp and Carter
    1976, GCC-PHAT): its peak is sharp even for a hum. Where a delay is not by far the
    best answer, none at all is the answer.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    length = min(track.shape[1], mixture.shape[1])
    size = next_fast_len(2 * length, real=True)
    ours, theirs = (rfft(one[:, :length].mean(axis=0), size) for one in (track, mixture))
    cross = ours * np.conj(theirs)
    strength = np.abs(cross)
    heard = strength > INAUDIBLE * strength.max()
    if not heard.any():
        return None
    cross[~heard] = 0.0
    cross[heard] /= strength[heard]
    correlation = np.abs(irfft(cross, size))
    farthest = min(round(LONGEST_DELAY_SECONDS * rate_hz), length - 1)
    delays = np.arange(-farthest, farthest + 1)
    near = correlation[delays]
    if near.max() < DELAY_OVER_CHANCE * np.sqrt(np.mean(correlation**2)):
        return None
    sure = near.max() > max(SURE_DELAY, DELAY_OVER_NONE * correlation[0])
    return int(delays[np.argmax(near)]) if sure else 0


def _inverted(tracks: _Tracks) -> str | None:
    """Whether a track is upside down beside the truth, or beside the mixture."""
    resemblance = _resemblance(tracks.track, tracks.truth)
    return None if resemblance > -ALIKE else f"upside down: its correlation is {resemblance:.2f}"


def _off_level(tracks: _Tracks) -> str | None:
    """Whether a track is far too loud, or far too soft while the other does not hold the rest."""
    over_mixture_db = 10 * math.log10(_energy(tracks.track) / _energy(tracks.mixture))
    if over_mixture_db > OVER_MIXTURE_DB:
        return f"{over_mixture_db:.1f} dB above the mixture, of which it should be a part"
    if _resemblance(tracks.track, tracks.truth) < ALIKE:
        return None
    gain_db = _gain_db(tracks.track, tracks.truth)
    lost = gain_db < TOO_SOFT_DB and _gain_db(tracks.both, tracks.truth) < LOST_DB
    if not lost and gain_db < TOO_LOUD_DB:
        return None
    like = "truth" if tracks.truth_is_known else "mixture"
    return f"{gain_db:+.1f} dB off the level of the {like}"


def _clipped(tracks: _Tracks) -> str | None:
    """Whether a track was cut off at a level, as integers and careless writers do."""
    runs = _runs_at_peak(tracks.track)
    if runs < CLIPPED_RUNS or _runs_at_peak(tracks.mixture) >= CLIPPED_RUNS:
        return None
    peak_db = 20 * math.log10(float(np.abs(tracks.track).max()))
    return f"clipped at {peak_db:+.1f} dBFS, {runs} times"


def _runs_at_peak(track: Real) -> int:
    """How often the highest value of all is held for several samples: natural peaks touch it."""
    at_peak = np.abs(track) == np.abs(track).max()
    starts = at_peak.shape[1] - CLIPPED_RUN_SAMPLES + 1
    if starts < 1:
        return 0
    held = np.logical_and.reduce([at_peak[:, n : n + starts] for n in range(CLIPPED_RUN_SAMPLES)])
    return int(np.count_nonzero(held[:, 0]) + np.count_nonzero(held[:, 1:] & ~held[:, :-1]))


def _swapped_channels(tracks: _Tracks) -> str | None:
    """Whether left and right of a track of two channels stand where right and left should."""
    if tracks.track.shape[0] != 2:
        return None
    (e_middle, e_side), (s_middle, s_side) = (
        (left + right, left - right) for left, right in (tracks.track, tracks.truth)
    )
    for side, middle in ((e_side, e_middle), (s_side, s_middle)):
        if _energy(side) <= _energy(middle) * 10 ** (FAINT_SIDE_DB / 10):
            return None
    middle_alike, side_alike = _resemblance(e_middle, s_middle), _resemblance(e_side, s_side)
    as_swapped = abs(_resemblance(tracks.track[::-1], tracks.truth))
    sure = min(abs(middle_alike), abs(side_alike), as_swapped) > SWAPPED
    return "left and right swapped" if sure and middle_alike * side_alike < 0 else None


def _truncated(track: Audio, mixture: Audio, truth: Audio | None) -> str | None:
    """Whether a track ends in mere zeros while what it should hold goes on."""
    sounding = np.flatnonzero(track.samples.any(axis=0))
    if not sounding.size:
        return None
    missing = truth or mixture
    end = int(sounding[-1]) + 1
    rest = missing.cut(end, missing.length)
    if rest.seconds < SHORTEST_MISSING_SECONDS:
        return None
    if _power(rest) < _power(missing) * 10 ** (SOUNDING_DB / 10) or not rest.samples.any():
        return None
    return f"nothing but zeros in its last {rest.seconds:.2f} s, where the sound goes on"


def _power(audio: Audio) -> float:
    return float(np.mean(np.square(audio.samples, dtype=np.float64)))


def _resemblance(first: Real, second: Real) -> float:
    """The correlation of two tracks, from -1 to 1; 0 for silence."""
    energies = _energy(first) * _energy(second)
    return float(np.vdot(first, second)) / math.sqrt(energies) if energies > 0.0 else 0.0


def _energy(track: Real) -> float:
    return float(np.vdot(track, track))


def _gain_db(track: Real, like: Real) -> float:
    """How strong one track is in another, in dB."""
    gain = abs(float(np.vdot(track, like))) / _energy(like)
    return 20 * math.log10(gain) if gain > 0.0 else -math.inf


def _excerpt(audio: Audio) -> Real:
    """The beginning of a long track, the whole of a short one, in float64."""
    return audio.cut(0, round(EXCERPT_SECONDS * audio.rate_hz)).samples.astype(np.float64)
