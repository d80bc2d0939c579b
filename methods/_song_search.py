"""Where in a recording a known song plays, from which of its own seconds on, and at what speed.

Both sounds are brought to one channel, to 4 kHz, and to a flat spectrum: in each cell of a
short-time Fourier transform the phase alone is kept. That is the phase transform of generalised
cross-correlation (Knapp and Carter, "The generalized correlation method for estimation of time
delay", IEEE Trans. ASSP 24(4), 1976), done locally, so that neither a loud voice nor a loud
instrument outweighs the rest, and a song's own repetitions stay low beside the true place.

The recording is cut into pieces of a few seconds; each is correlated with the whole song by fast
Fourier transforms. What follows is made for rooms, which answer with a thousand peaks instead of
one, and for players whose clocks do not keep the recorder's time:

- *How sure.* The evidence for a place is how far the squared correlations within 25 ms, in units
  of their usual size, rise above what chance makes, summed up. One high peak counts, and so do many
  middling ones.
- *Which places.* A song may start, stop, jump or loop. The likeliest course through the candidates
  of all pieces is found by dynamic programming (Viterbi 1967). Where it jumps, shorter pieces are
  looked for too.
- *Which speed.* The correlations along a course are laid over each other, slanted by each speed
  in question, and the speed under which they add up best is taken: the velocity analysis of
  seismics (Neidell and Taner, "Semblance and other coherency measures for multichannel data",
  Geophysics 36(3), 1971). It needs no peak to be the same reflection throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Samples
from methods._stft import STFT

Floats = NDArray[np.float64]
Responses = NDArray[np.complex64]
Places = NDArray[np.int64]

RATE_HZ = 4000
WHITENING = STFT(256, 64)
LOWEST_BIN = 16  # 250 Hz
# Below this part of the loudest cell a phase is not worth keeping: it may be that of rounding.
FAINTEST = 1e-4

PIECE_SECONDS = 3.0
SHORT_PIECE_SECONDS = 1.0
SHORTEST_SECONDS = 0.25
# Squared correlations count as far as they exceed four times their usual size, squared. Of 336
# pairs of a clip and a song that does not play in it no piece came above 40; of the right pairs
# none below 180, with the song in an echoing stairwell and 17 dB below the voice among them.
CHANCE = 16.0
SMEAR = RATE_HZ // 40
EVIDENCE_OF_A_COURSE = 100.0
EVIDENCE_OF_A_PIECE = 25.0
CANDIDATES = 8
# Places of one course differ by less than this from piece to piece: by a room's answer, by drift.
SAME_COURSE = RATE_HZ * 6 // 100

FASTEST_PPM = 400.0
SPEED_STEP_PPM = 4.0
# The stretch of lags around a course that holds what a room answers. An echo is heard late, so it
# shows where the song was earlier: on the side of the lower lags.
BEFORE, AFTER = RATE_HZ // 5, RATE_HZ // 10
FADING_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a recording in which the song plays on without a jump.

    Args:
        start_seconds: where it begins in the recording, to within the length of a piece,
        stop_seconds: and where it ends.
        song_seconds: the second of the song that is heard, or would be, at second 0 of the
            recording; negative where the song starts later.
        speed: seconds of the song that pass in one second of the recording.
    """

    start_seconds: float
    stop_seconds: float
    song_seconds: float
    speed: float


class Piece(NamedTuple):
    """A few seconds of a flattened recording, from that sample of it on."""

    start: int
    samples: Samples

    @property
    def middle(self) -> float:
        return self.start + self.samples.size / 2


class Candidate(NamedTuple):
    """A place of the song, as its sample at sample 0 of the recording, and what speaks for it."""

    place: int
    evidence: float


class Course(NamedTuple):
    """Consecutive pieces, and the place of the song that they have in common."""

    pieces: list[Piece]
    place: int

    @property
    def start(self) -> int:
        return self.pieces[0].start

    @property
    def stop(self) -> int:
        return self.pieces[-1].start + self.pieces[-1].samples.size

    def holds(self, other: Course) -> bool:
        """Whether the other is at this one's place, while this one plays."""
        together = min(self.stop, other.stop) > max(self.start, other.start)
        return together and abs(self.place - other.place) <= SAME_COURSE


class SongIndex:
    """A song made ready to be searched for."""

    def __init__(self, song: Audio) -> None:
        self.flat = _flattened(song)

    def find(self, recording: Audio) -> tuple[Passage, ...]:
        """The passages of the song in a recording of some seconds, in order; perhaps none."""
        flat = _flattened(recording)
        if min(flat.size, self.flat.size) < SHORTEST_SECONDS * RATE_HZ:
            return ()
        courses = self._courses(flat, PIECE_SECONDS)
        if courses and not _lasts(courses, flat.size):
            courses = _completed(courses, self._courses(flat, SHORT_PIECE_SECONDS))
        return _passages(courses, self.flat) if courses else ()

    def _courses(self, flat: Samples, piece_seconds: float) -> list[Course]:
        """The likeliest courses through a flat recording, cut into pieces of that length."""
        pieces = _pieces(flat, min(round(piece_seconds * RATE_HZ), self.flat.size // 2))
        return _courses(pieces, self._candidates(pieces))

    def _candidates(self, pieces: list[Piece]) -> list[list[Candidate]]:
        """The likeliest places for each piece."""
        from scipy.fft import irfft, next_fast_len, rfft

        length = pieces[0].samples.size
        size = next_fast_len(self.flat.size + length, real=True)
        spectrum = rfft(self.flat, size)
        found = []
        for piece in pieces:
            circular = irfft(spectrum * np.conj(rfft(piece.samples, size)), size)
            # In order of lag, from where the piece ends with the song's first sample on.
            lags = np.concatenate([circular[size - length :], circular[: self.flat.size]])
            found.append(_peaks(_evidence(lags), -length - piece.start))
        return found


def _flattened(audio: Audio) -> Samples:
    """One channel at 4 kHz, of which every cell of a spectrogram has the same magnitude."""
    import soxr

    slow = soxr.resample(_strongest_direction(audio.samples), audio.rate_hz, RATE_HZ, quality="MQ")
    spectrum = WHITENING.forward(slow[np.newaxis].astype(np.float32))
    magnitudes = np.abs(spectrum)
    spectrum /= np.maximum(magnitudes, FAINTEST * magnitudes.max(initial=0.0) + 1e-30)
    spectrum[..., :LOWEST_BIN] = 0.0
    return np.asarray(WHITENING.inverse(spectrum, slow.size)[0])


def _strongest_direction(samples: Samples) -> Samples:
    """The channels added up with the weights, signs included, that make the sum the loudest.

    A plain mean would lose a sound whose sides are in opposite phase.
    """
    _, vectors = np.linalg.eigh((samples @ samples.T).astype(np.float64))
    return np.asarray(vectors[:, -1].astype(np.float32) @ samples)


def _pieces(flat: Samples, length: int) -> list[Piece]:
    """Pieces of one length that overlap by half; the last one ends with the recording."""
    length = min(length, flat.size)
    last = flat.size - length
    starts = [*range(0, last, max(1, length // 2)), last]
    return [Piece(start, flat[start : start + length]) for start in starts]


def _evidence(lags: Samples) -> Samples:
    """What speaks for each lag: squared correlations beyond chance, summed up over 25 ms."""
    from scipy.ndimage import uniform_filter1d

    usual = float(np.median(np.abs(lags))) / 0.6745
    if usual == 0.0:
        return np.zeros_like(lags)
    beyond = np.maximum(np.square(lags / usual) - CHANCE, 0.0)
    return np.asarray(SMEAR * uniform_filter1d(beyond, SMEAR, mode="constant"))


def _peaks(evidence: Samples, first_place: int) -> list[Candidate]:
    """The highest places, none within 60 ms of another."""
    found = []
    evidence = evidence.copy()
    for _ in range(CANDIDATES):
        best = int(evidence.argmax())
        if evidence[best] < EVIDENCE_OF_A_PIECE:
            break
        found.append(Candidate(first_place + best, float(evidence[best])))
        evidence[max(best - SAME_COURSE, 0) : best + SAME_COURSE] = 0.0
    return found


def _courses(pieces: list[Piece], candidates: list[list[Candidate]]) -> list[Course]:
    """The courses along which the evidence is largest, less what each piece and course must bring.

    A jump costs half of the evidence for the piece that it leads to besides: of a passage that the
    song repeats note by note, the one is taken that the course is in already.
    """
    none = Candidate(0, 0.0)
    scores, steps = [0.0], []
    before = [none]
    for choices in candidates:
        options = [none, *choices]
        costs = np.array([[_cost(old, new) for old in before] for new in options])
        totals = np.array(scores) - costs
        steps.append(totals.argmax(axis=1))
        gains = [new.evidence - EVIDENCE_OF_A_PIECE if new is not none else 0.0 for new in options]
        scores = list(totals.max(axis=1) + gains)
        before = options
    chosen, state = [], int(np.argmax(scores))
    for step, choices in zip(reversed(steps), reversed(candidates), strict=True):
        chosen.append([none, *choices][state])
        state = int(step[state])
    return _grouped(pieces, chosen[::-1], none)


def _cost(old: Candidate, new: Candidate) -> float:
    """Of going on from one place to another; to silence it costs nothing."""
    if new.evidence == 0.0:
        return 0.0
    if old.evidence > 0.0 and abs(old.place - new.place) <= SAME_COURSE:
        return 0.0
    leaving = 0.5 * new.evidence if old.evidence > 0.0 else 0.0
    return EVIDENCE_OF_A_COURSE + leaving


def _grouped(pieces: list[Piece], chosen: list[Candidate], none: Candidate) -> list[Course]:
    """Pieces that follow each other at about one place, together; its place is the likeliest."""
    groups: list[list[tuple[Piece, Candidate]]] = []
    last = none
    for piece, here in zip(pieces, chosen, strict=True):
        if here is not none:
            if last is none or abs(last.place - here.place) > SAME_COURSE:
                groups.append([])
            groups[-1].append((piece, here))
        last = here
    return [
        Course([piece for piece, _ in group], max((c for _, c in group), key=lambda c: c[1]).place)
        for group in groups
    ]


def _lasts(courses: list[Course], length: int) -> bool:
    """Whether the song plays on from a recording's beginning to its end."""
    return len(courses) == 1 and courses[0].start == 0 and courses[0].stop == length


def _completed(courses: list[Course], short: list[Course]) -> list[Course]:
    """With the courses that only shorter pieces show: of what plays for a moment between jumps."""
    missing = [one for one in short if not any(course.holds(one) for course in courses)]
    return sorted([*courses, *missing], key=lambda course: course.start)


def _passages(courses: list[Course], song: Samples) -> tuple[Passage, ...]:
    """The courses' exact places, at the speed that they have in common."""
    answers = [
        np.array([_answer(piece, course.place, song) for piece in course.pieces])
        for course in courses
    ]
    speed = _speed(courses, answers)
    stacks = [
        _stacked(those, _slants(course, speed))
        for course, those in zip(courses, answers, strict=True)
    ]
    longest = max(range(len(courses)), key=lambda n: len(courses[n].pieces))
    onset = _onset(stacks[longest])
    return tuple(
        Passage(
            start_seconds=course.start / RATE_HZ,
            stop_seconds=course.stop / RATE_HZ,
            song_seconds=(course.place + onset + _shift(stacks[longest], stack)) / RATE_HZ,
            speed=speed,
        )
        for course, stack in zip(courses, stacks, strict=True)
    )


def _answer(piece: Piece, place: int, song: Samples) -> Responses:
    """The piece's correlation with the song at places around one, as a spectrum over the lags."""
    from scipy.fft import rfft
    from scipy.signal import correlate

    start = piece.start + place - BEFORE
    stop = piece.start + place + piece.samples.size + AFTER
    needed = np.zeros(stop - start, np.float32)
    inside = song[max(start, 0) : max(stop, 0)]
    needed[max(-start, 0) : max(-start, 0) + inside.size] = inside
    lags = correlate(needed, piece.samples, mode="valid")
    return np.asarray(rfft(lags, 2 * lags.size))


def _slants(course: Course, speed: float) -> Floats:
    """How many samples later each piece of the course is than at the recording's own speed."""
    return np.array([(speed - 1.0) * piece.middle for piece in course.pieces])


def _stacked(answers: Responses, slants: Floats) -> Responses:
    """The sum of the answers, each brought forward by its slant, as a spectrum."""
    ramp = 2j * np.pi * np.arange(answers.shape[1]) / (2 * (answers.shape[1] - 1))
    return np.asarray((answers * np.exp(ramp * slants[:, np.newaxis])).sum(axis=0))


def _speed(courses: list[Course], answers: list[Responses]) -> float:
    """The speed at which the answers of each course add up to the most power."""
    if all(len(course.pieces) == 1 for course in courses):
        return 1.0
    steps = np.arange(-FASTEST_PPM, FASTEST_PPM + 1, SPEED_STEP_PPM)
    powers = np.zeros(steps.size)
    for n, ppm in enumerate(steps):
        for course, those in zip(courses, answers, strict=True):
            stack = _stacked(those, _slants(course, 1.0 + 1e-6 * ppm))
            powers[n] += np.square(np.abs(stack)).sum()
    best = int(powers.argmax())
    return float(1.0 + 1e-6 * (steps[best] + SPEED_STEP_PPM * _vertex(powers, best)))


def _onset(stack: Responses) -> int:
    """The lag, from the course's place on, whose sound came first and then faded in the room."""
    powers = np.square(_over_lags(stack))
    powers = np.maximum(powers - 0.2 * powers.max(), 0.0)
    fading = np.exp(-np.arange(BEFORE) / (FADING_SECONDS * RATE_HZ))[::-1]
    faded = np.correlate(powers, fading, mode="full")[: powers.size]
    return int(faded.argmax()) - BEFORE


def _shift(reference: Responses, stack: Responses) -> float:
    """How many samples later the second answer is than the first, which it resembles."""
    if reference is stack:
        return 0.0
    size = 2 * (stack.size - 1)
    lags = np.fft.irfft(stack * np.conj(reference), size)
    near = np.concatenate([lags[-SAME_COURSE:], lags[: SAME_COURSE + 1]])
    best = int(near.argmax())
    return best - SAME_COURSE + _vertex(near, best)


def _over_lags(stack: Responses) -> Floats:
    size = 2 * (stack.size - 1)
    return np.fft.irfft(stack, size)[: size // 2]


def _vertex(values: Floats, best: int) -> float:
    """How far beside the largest of the values, in steps, the parabola through it has its top."""
    if not 0 < best < values.size - 1:
        return 0.0
    before, here, after = values[best - 1 : best + 2]
    return float(0.5 * (before - after) / (before - 2.0 * here + after))
