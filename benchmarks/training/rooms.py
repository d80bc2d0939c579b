"""Rooms for the talkers of training examples: simulated once, by the image source method.

Allen and Berkley, "Image method for efficiently simulating small-room acoustics", Journal of the
Acoustical Society of America 65(4), 1979, as pyroomacoustics implements it.
"""

from __future__ import annotations

import numpy as np

from benchmarks.contract import Samples

SIDES_METRES = ((3.0, 9.0), (3.0, 7.0), (2.4, 3.5))
REVERBERATION_SECONDS = (0.12, 0.5)  # by Sabine's law
DISTANCE_METRES = (0.4, 2.5)
BETWEEN_MICROPHONES_METRES = 0.17
WALL_METRES = 0.3  # nobody stands nearer to a wall
MOST_REFLECTIONS = 32  # of one path: enough for the first 30 dB of the longest decay


def simulated_rooms(count: int, rate_hz: int, channels: int, seed: int) -> list[Samples]:
    """Impulse responses of talkers in rooms at 1 or 2 microphones, ``(channels, samples)``.

    Each begins with its direct sound, and has the energy 1 in its louder channel. Sabine's law, by
    which the walls are chosen, holds within about a quarter from 0.2 s on; drier rooms are drier
    yet. Judged by the decay from -5 to -25 dB, nine of ten rooms reverberate for 0.09 to 0.57 s.
    """
    random = np.random.default_rng([seed, 7])
    return [_room(random, rate_hz, channels) for _ in range(count)]


def in_room(track: Samples, response: Samples) -> Samples:
    """What the microphones hear of a track of as many channels; as long as the track."""
    from scipy.signal import fftconvolve

    heard: Samples = fftconvolve(track, response, axes=1)[:, : track.shape[1]]
    return np.asarray(heard, dtype=np.float32)


def _room(random: np.random.Generator, rate_hz: int, channels: int) -> Samples:
    import pyroomacoustics

    sides = np.array([random.uniform(*side) for side in SIDES_METRES])
    # Reverberation that the smallest rooms can't have is clipped to what absorbs all but all.
    absorption, reflections = pyroomacoustics.inverse_sabine(
        max(random.uniform(*REVERBERATION_SECONDS), 0.17 * sides.prod() / _surface(sides)), sides
    )
    room = pyroomacoustics.ShoeBox(
        sides,
        fs=rate_hz,
        materials=pyroomacoustics.Material(absorption),
        max_order=min(reflections, MOST_REFLECTIONS),
    )
    middle = random.uniform(WALL_METRES + 0.1, sides - WALL_METRES - 0.1)
    angle, distance = random.uniform(0, 2 * np.pi), random.uniform(*DISTANCE_METRES)
    talker = middle + distance * np.array([np.cos(angle), np.sin(angle), 0.1])
    room.add_source(np.clip(talker, WALL_METRES, sides - WALL_METRES))
    apart = np.array([[-0.5, 0.5], [0, 0], [0, 0]]) * BETWEEN_MICROPHONES_METRES
    room.add_microphone_array(middle[:, None] + (apart if channels == 2 else np.zeros((3, 1))))
    room.compute_rir()
    return _aligned([np.asarray(microphone[0]) for microphone in room.rir])


def _arrival(response: Samples) -> int:
    """Of the direct sound: the first sample that is near the greatest."""
    size = np.abs(response)
    return int(np.argmax(size > 0.3 * size.max()))


def _surface(sides: Samples) -> float:
    """Six walls."""
    a, b, c = sides
    return float(2 * (a * b + b * c + c * a))


def _aligned(responses: list[Samples]) -> Samples:
    """All channels from the earliest direct sound on, so that a room delays nothing."""
    first = min(map(_arrival, responses))
    longest = max(map(len, responses))
    together = np.stack([np.pad(each, (0, longest - len(each))) for each in responses])[:, first:]
    energy = np.sqrt(np.square(together).sum(axis=1).max())
    return np.asarray(together / energy, dtype=np.float32)
