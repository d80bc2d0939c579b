"""ILRMA: sources told apart by where they stand, each made of a few spectra.

Kitamura, Ono, Sawada, Kameoka and Saruwatari, "Determined blind source separation unifying
independent vector analysis and nonnegative matrix factorization", IEEE/ACM Trans. ASLP 24(9), 2016,
as in pyroomacoustics; how a recording gets there and back is told in :mod:`methods._demixing`.

AuxIVA has all bins of a source rise and fall together. Here a source has a few spectra, each with
an activity of its own, found by nonnegative matrix factorisation along with the demixing matrices.
That fits more closely and is easier to trap: from scratch, it left three of the sixteen rooms of
:mod:`methods.auxiva` 4 to 19 dB more mixed than AuxIVA did. So it starts from the matrices of
AuxIVA, and then came out 1 dB above it, in twice the time. The weaknesses and limits are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import numpy as np

from benchmarks.contract import Clip, Estimate, Option, method
from methods._demixing import (
    BandHz,
    Cells,
    Component,
    Matrices,
    Setting,
    Sources,
    WindowSeconds,
    iva,
    separate,
)

FIRST_ITERATIONS = 20  # of AuxIVA


@method(
    family="blind",
    paper=(
        "Kitamura, Ono, Sawada, Kameoka and Saruwatari 2016, Determined blind source separation "
        "unifying independent vector analysis and nonnegative matrix factorization"
    ),
    needs=("two channels",),
    longest_seconds=600.0,
)
def ilrma(
    clip: Clip,
    *,
    iterations: Annotated[int, Option("updates of spectra and demixing matrices", 1, 1000)] = 30,
    bases: Annotated[int, Option("spectra that a source is made of", 1, 64)] = 4,
    seed: Annotated[int, Option("of the spectra that the search begins with", 0, 2**32 - 1)] = 0,
    window_seconds: WindowSeconds = 0.28,
    band_hz: BandHz = 4000.0,
    sources: Sources = 2,
    component: Component = 0,
) -> Estimate:
    """Separate by place and by spectra: independent low-rank matrices, two microphones or more."""
    algorithm = partial(_low_rank, iterations=iterations, bases=bases, seed=seed)
    return separate(clip, Setting(window_seconds, band_hz, sources, component), algorithm)


def _low_rank(cells: Cells, iterations: int, bases: int, seed: int) -> Matrices:
    """Demixing matrices by ILRMA.

    The library's last step of an iteration scales the columns of a matrix where its rows are meant.
    On whitened cells the factors are nearly alike and it does no harm: a corrected copy gave the
    same scores to 0.1 dB.
    """
    from pyroomacoustics.bss import ilrma as of_pyroomacoustics

    start = iva(cells, FIRST_ITERATIONS)
    with _seeded(seed):
        _, demixing = of_pyroomacoustics(
            cells.transpose(2, 0, 1),
            n_iter=iterations,
            n_components=bases,
            W0=start,
            proj_back=False,
            return_filters=True,
        )
    return np.asarray(demixing)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, from which the library draws, and leave it as it was."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
