"""AuxIVA: microphones in a room tell the sources apart by where they stand.

Ono, "Stable and fast update rules for independent vector analysis based on auxiliary function
technique", WASPAA 2011, as in pyroomacoustics; how a recording gets there and back is told in
:mod:`methods._demixing`.

A source is a vector of bins which share one activity. In the Gaussian model (Ono 2012) that is
their variance, which changes from frame to frame; the Laplacian one of 2011 did about 1 dB less in
sixteen simulated rooms. There two talkers, or a talker and a loudspeaker with music, 1 m from a
pair of microphones, came apart by 12 dB where only the two were heard and the echo lasted 0.15 to
0.4 s, and by 8 dB with echoes up to 0.5 s and an office around.

It is weak where sources move, where there are more of them than ``sources``, where the echo is much
longer than the window, and in stereo recordings of more than two instruments. It helps nothing
where the microphones hear the sources alike. A recording may last 10 minutes: seats are kept for
that long at best, and a matrix that suits no moment separates none.
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
