"""Whether the song can still be recognised in the voice: the test of its removal."""

from __future__ import annotations

from benchmarks.contract import Audio, Undefined, metric
from benchmarks.landmarks import Index, landmarks_heard, landmarks_of_song, sound_of

# Of a thousand mixtures without the song, one would be taken to have it.
MISTAKES = 1e-3


@metric(
    unit="1",
    better="lower",
    targets=("vocals",),
    paper="Wang 2003, An industrial-strength audio search algorithm (landmarks)",
)
def song_recognised(estimate: Audio, mixture: Audio, song: Audio) -> float | Undefined:
    """How much of what gives the song away in the mixture is left in the vocals.

    A song is known by its landmarks, pairs of spectral peaks; see ``benchmarks.landmarks``. In the
    mixture those that are found at one common time, where the song plays, give it away. The score
    is how many of the song's peaks are still found in the vocals at that time, over how many were
    found in the mixture, each less what chance would find. Long recordings are looked at in
    stretches of 10 s, overlapping by half; those in which the song can't be recognised don't count.

    It is not about decibels. Under the voice a song that is turned down by 10 or 20 dB is soon
    drowned; in the voice's pauses it is recognised however soft it was left.

    Args:
        estimate: the vocals, as long as the mixture and at its rate.
        mixture: what was separated.
        song: the clean song, of any length and rate; where it plays is found here.

    Returns:
        From 0 (no longer recognisable) up; 1 for the mixture itself. Above 1 where the song comes
        out more clearly than before, because the voice was taken away instead. Undefined when the
        song can't be recognised in the mixture either.
    """
    index = Index.of([landmarks_of_song(sound_of(song))])
    heard = landmarks_heard(sound_of(estimate))
    before = after = 0.0
    for first, stretch in landmarks_heard(sound_of(mixture)).stretches():
        votes = index.votes(stretch)
        best = votes.best()
        if best is None or votes.chances()[best] > MISTAKES:
            continue
        before += votes.above_chance(int(votes.places[best]))
        after += index.votes(heard.stretch(first)).above_chance(int(votes.places[best]))
    if before <= 0.0:
        return Undefined("the song can't be recognised in the mixture either")
    return max(after, 0.0) / before
