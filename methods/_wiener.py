"""A multichannel Wiener filter that is refined by rounds of expectation and maximisation.

Each source is, in each cell of a spectrogram, a Gaussian whose covariance between the channels is
its power there times its *place*, one matrix a frequency: Duong, Vincent and Gribonval,
"Under-determined reverberant audio source separation using a full-rank spatial covariance model",
IEEE Trans. ASLP 18(7), 2010. The rounds are the simplified ones of Nugraha, Liutkus and Vincent,
"Multichannel audio source separation with deep neural networks", IEEE/ACM Trans. ASLP 24(9), 2016:
power and place are those of the last estimates themselves.

Frequencies have nothing to do with each other, so that a few at a time are refined to the end
while they lie in a core's cache. The matrices are Hermitian and at most 2 by 2: they are solved
by formula, in double precision, since sources in one direction make them all but singular.
"""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-10  # of a source's power over all frames
NOISE = EPSILON**0.5  # power that the model has in every channel, so that silence can be solved
LARGEST = 10.0  # magnitude that louder mixtures are brought down to, for the two to be small
BINS_AT_ONCE = 64


def refined(estimates: Tensor, mixture: Tensor, rounds: int) -> Tensor:
    """Sources that explain the mixture, of first estimates of all of them.

    Args:
        estimates: complex spectra, shape ``(sources, channels, frames, bins)``.
        mixture: its complex spectrum, shape ``(channels, frames, bins)``, of 1 or 2 channels.
        rounds: 0 gives the estimates back.

    Returns:
        Spectra shaped like the estimates. They sum to the mixture but for the little that the
        model takes for noise.
    """
    if rounds == 0 or not mixture.numel():
        return estimates
    loudness = max(1.0, float(mixture.abs().max()) / LARGEST)
    out = torch.empty_like(estimates)
    for start in range(0, mixture.shape[-1], BINS_AT_ONCE):
        bins = slice(start, start + BINS_AT_ONCE)
        x = mixture[..., bins].to(torch.complex128) / loudness
        y = estimates[..., bins].to(torch.complex128) / loudness
        for _ in range(rounds):
            y = _one_channel(y, x) if len(x) == 1 else _two_channels(y, x)
        out[..., bins] = y * loudness
    return out


def _one_channel(y: Tensor, x: Tensor) -> Tensor:
    power = _squared(y)
    total = power.sum(2, keepdim=True)
    power = power * total / (total + EPSILON)
    found: Tensor = power * (x / (power.sum(0) + NOISE))
    return found


def _two_channels(y: Tensor, x: Tensor) -> Tensor:
    """One round: the places are ``[[left, across], [conj(across), right]]``."""
    left, right = _squared(y).unbind(1)
    power = (left + right) / 2
    weight = power.sum(1, keepdim=True) + EPSILON
    left, right = left.sum(1, keepdim=True) / weight, right.sum(1, keepdim=True) / weight
    across = (y[:, 0] * y[:, 1].conj()).sum(1, keepdim=True) / weight
    all_left, all_right = ((power * place).sum(0) + NOISE for place in (left, right))
    all_across = (power * across).sum(0)
    determinant = all_left * all_right - _squared(all_across)
    solved_left = (all_right * x[0] - all_across * x[1]) / determinant
    solved_right = (all_left * x[1] - all_across.conj() * x[0]) / determinant
    return torch.stack(
        [
            power * (left * solved_left + across * solved_right),
            power * (across.conj() * solved_left + right * solved_right),
        ],
        dim=1,
    )


def _squared(z: Tensor) -> Tensor:
    return z.real**2 + z.imag**2
