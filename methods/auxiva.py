"""AuxIVA: microphones in a room tell the sources apart by where they stand.

Ono, "Stable and fast update rules for independent vector analysis based on auxiliary function
technique", WASPAA 2011, as in pyroomacoustics; how a recording gets there and back is told in
:mod:`methods._demixing`.

A source is a vector of bins which share one activity. In the Gaussian model (Ono 2012) that is
their variance, which changes from frame to frame; the Laplacian one of 2011 did 2 dB less. In eight
simulated rooms with 0.15 to 0.4 s of echo, two talkers 1 m from a pair of microphones came apart by
12 dB (6 to 20); in eight others with up to 0.5 s of echo, places at random, half of the time music
instead of a second talker, and an office around, by 8 dB (3 to 17).

It is weak where sources move, where there are more of them than ``sources``, where the echo is much
longer than the window, and in stereo recordings of more than two instruments. It can't help where
the microphones hear all sources alike. A recording may last 10 minutes: people seldom sit still for
longer, and three times the recording is held in memory (0.6 GB beside 10 minutes of 48 kHz stereo).
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from benchmarks.contract import Clip, Estimate, Option, method
from methods._demixing import BandHz, Component, Setting, Sources, WindowSeconds, iva, separate


@method(
    family="blind",
    paper=(
        "Ono 2011, Stable and fast update rules for independent vector analysis based on "
        "auxiliary function technique"
    ),
    needs=("two channels",),
    longest_seconds=600.0,
)
def auxiva(
    clip: Clip,
    *,
    iterations: Annotated[int, Option("updates of the demixing matrices", 1, 1000)] = 20,
    model: Annotated[
        Literal["gauss", "laplace"], Option("how the bins of a source follow its activity")
    ] = "gauss",
    window_seconds: WindowSeconds = 0.28,
    band_hz: BandHz = 4000.0,
    sources: Sources = 2,
    component: Component = 0,
) -> Estimate:
    """Separate by place: independent vector analysis of what two or more microphones hear."""
    algorithm = partial(iva, iterations=iterations, model=model)
    return separate(clip, Setting(window_seconds, band_hz, sources, component), algorithm)
