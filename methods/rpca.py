"""Robust PCA: accompaniment is a few spectra again and again, a voice is sparse and never the same.

Huang, Chen, Smaragdis and Hasegawa-Johnson, "Singing-voice separation from monaural recordings
using robust principal component analysis", ICASSP 2012. The magnitude spectrogram M, bins by
frames, is split into L + S so that ``|L|_* + lambda |S|_1`` is least: the nuclear norm makes L low
in rank, the absolute values make S sparse, and ``lambda = sparsity / sqrt(max(bins, frames))``
weighs the two. L is taken for the background, S for the voice, and each cell goes to the louder
(``binary`` mask, the paper's) or is shared by their squares (``soft``).

The solver is the inexact augmented Lagrange multiplier method of Lin, Chen and Ma, "The augmented
Lagrange multiplier method for exact recovery of corrupted low-rank matrices", UIUC 2009. Its steps
shrink singular values; of these only the ones above the step's threshold are ever needed, and they
are found as eigenvalues of the smaller Gram matrix, which takes a quarter of the time of a singular
value decomposition. It stops at a relative error of 1e-2: on nine clips of 6 to 12 s (speech in
noise, over music, among talkers), 1e-5 changed the voice's SI-SDR by less than 0.1 dB and took 25
times as long.

The channels share one mask, that of their mean magnitude. It is found up to 8 kHz; above that a
frame has its mean over the octave below.

Weak on speech: a vowel held or said again is low in rank and falls into the background, while
drums and plucked notes are sparse and fall into the voice. What is called low in rank has, on ten
seconds of music, a rank of 133. And being low in rank is a matter of the whole, so a recording is
taken whole, up to ten minutes, which in stereo at 44.1 kHz held 1.5 GB, the tracks included.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from benchmarks.contract import Clip, Estimate, Option, method
from methods._masking import Cells, bins_below, extended, framing, magnitudes, masked

MOST_STEPS = 200
GROWTH = 1.5  # of the multiplier's weight from step to step
VOICE_HZ = 8000.0


@method(
    family="dsp",
    paper=(
        "Huang et al. 2012, Singing-voice separation from monaural recordings using robust "
        "principal component analysis, ICASSP"
    ),
)
def rpca(
    clip: Clip,
    *,
    sparsity: Annotated[
        float, Option("weight of the sparse part, in units of 1 / sqrt(max(bins, frames))", 0.1, 10)
    ] = 1.0,
    mask: Annotated[
        Literal["soft", "binary"],
        Option("share a cell by the squares of both parts, or give it to the louder one"),
    ] = "soft",
    gain: Annotated[float, Option("of the background when the masks compare", 0.01, 100)] = 1.0,
    high_pass_hz: Annotated[float, Option("below it all is background, in Hz", 0, 20000)] = 100.0,
    tolerance: Annotated[
        float, Option("relative error of L + S at which the solver stops", 1e-7, 0.1)
    ] = 1e-2,
    window_seconds: Annotated[
        float, Option("length of the STFT's window, in seconds", 0.002, 1.0)
    ] = 0.046,
) -> Estimate:
    """Take what is low in rank for the background, and what is sparse for the vocals."""
    mixture = clip.mixture
    stft = framing(mixture.rate_hz, window_seconds)
    heard = magnitudes(stft, mixture.samples, bins_below(stft, mixture.rate_hz, VOICE_HZ))
    low_rank, sparse = low_rank_and_sparse(heard, sparsity, tolerance)
    vocals, background = np.abs(sparse), np.float32(gain) * np.abs(low_rank)
    if mask == "binary":
        share = (vocals > background).astype(np.float32)
    else:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share = np.where(vocals > 0, 1 / (1 + (background / vocals) ** 2), np.float32(0))
    share[:, : bins_below(stft, mixture.rate_hz, high_pass_hz)] = 0.0
    return masked(mixture, stft, extended(share, stft.bins))


def low_rank_and_sparse(matrix: Cells, sparsity: float, tolerance: float) -> tuple[Cells, Cells]:
    """L and S that add up to the matrix, but for an error of that size, relative to the matrix.

    Args:
        matrix: any real one.
        sparsity: lambda times the root of the longer side.
        tolerance: Frobenius norm of what is left over that of the matrix.
    """
    if len(matrix) > matrix.shape[1]:
        low_rank, sparse = low_rank_and_sparse(np.ascontiguousarray(matrix.T), sparsity, tolerance)
        return low_rank.T, sparse.T
    size, largest = float(np.linalg.norm(matrix)), _spectral_norm(matrix)
    low_rank, sparse = np.zeros_like(matrix), np.zeros_like(matrix)
    if largest == 0.0:
        return low_rank, sparse
    weight = np.float32(sparsity / np.sqrt(max(matrix.shape)))
    multiplier = matrix / max(largest, float(np.abs(matrix).max() / weight))
    step = np.float32(1.25 / largest)
    for _ in range(MOST_STEPS):
        sparse = _shrunk(matrix - low_rank + multiplier / step, weight / step)
        low_rank = _shrunk_in_rank(matrix - sparse + multiplier / step, 1 / step)
        left = matrix - low_rank - sparse
        if np.linalg.norm(left) <= tolerance * size:
            break
        multiplier += step * left
        step *= np.float32(GROWTH)
    return low_rank, sparse


def _shrunk(matrix: Cells, by: np.float32) -> Cells:
    """Each element nearer to 0 by that much, or 0."""
    return np.asarray(matrix - np.clip(matrix, -by, by))


def _shrunk_in_rank(matrix: Cells, by: np.float32) -> Cells:
    """Each singular value lower by that much, or 0."""
    from scipy.linalg import eigh

    values, vectors = eigh(
        matrix @ matrix.T, subset_by_value=(float(by) ** 2, np.inf), driver="evr", overwrite_a=True
    )
    return np.asarray((vectors * (1 - by / np.sqrt(values))) @ (vectors.T @ matrix))


def _spectral_norm(matrix: Cells) -> float:
    from scipy.linalg import eigvalsh

    last = len(matrix) - 1
    value = eigvalsh(matrix @ matrix.T, subset_by_index=(last, last))[0]
    return float(np.sqrt(max(value, 0.0)))
