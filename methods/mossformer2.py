"""MossFormer2: attention and recurrence without feedback clean speech, in one large network.

Zhao, Ma, Ni et al., "MossFormer2: combining transformer and RNN-free recurrent network for enhanced
time-domain monaural speech separation", ICASSP 2024; the model is ``MossFormer2_SE_48K`` of
ClearerVoice-Studio, trained to clean speech at 48 kHz: it masks the spectrogram. This is a thin
layer over the ``clearvoice`` package, which also fetches the weights, on first use, from the Hub.

The package pins NumPy below 2 and versions of librosa and soundfile, which pip then puts in the
place of the newer ones. It needs torchaudio, which fails to import where its build and that of
PyTorch differ (one for CUDA, the other for the CPU alone): that is for its user to get right.

Weak where it was not trained: it keeps speech, whoever speaks, and so a second talker.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from benchmarks.contract import Blocks, Clip, Estimate, Option, Unavailable, method

NAME = "MossFormer2_SE_48K"
RATE_HZ = 48000
LEAST_SECONDS = 1
CORE_SECONDS, CONTEXT_SECONDS = 16, 2


def load(_assets: Mapping[str, Path]) -> Any:
    """The package's model; it fetches the weights that it has not got yet.

    The package keeps them below the current folder, which is therefore the cache for so long.
    Where they can't be had it prints a warning, and then goes on without any training.
    """
    from clearvoice import ClearVoice

    from benchmarks.assets import cache_root

    folder = cache_root() / "clearvoice"
    folder.mkdir(parents=True, exist_ok=True)
    lacking = f"clearvoice can't get the weights of {NAME}: put them into "
    lacking += str(folder / "checkpoints" / NAME)
    with contextlib.chdir(folder), contextlib.redirect_stdout(sys.stderr):
        try:
            model = ClearVoice(task="speech_enhancement", model_names=[NAME])
        except OSError as error:  # a list of weights without the weights
            raise Unavailable(lacking) from error
    if not any(folder.rglob("last_best_checkpoint")):
        raise Unavailable(lacking)
    return model


def blocks(_rate_hz: int) -> Blocks:
    """Sixteen seconds at a time: the attention goes over all that it is given.

    So the cores are not those of the whole. The package itself cuts a file of more than 20 s into
    windows of 4 s, which overlap by a second.
    """
    return Blocks(core=CORE_SECONDS * RATE_HZ, context=CONTEXT_SECONDS * RATE_HZ)


@method(
    family="learned",
    paper="Zhao, Ma, Ni et al. 2024, MossFormer2, ICASSP",
    packages=("clearvoice",),
    load=load,
    rate_hz=RATE_HZ,
    blocks=blocks,
    opt_in="it fetches its own weights and takes about as long as the recording",
)
def mossformer2(
    clip: Clip,
    model: Any,
    *,
    seed: Annotated[int, Option("of the dither that its features are computed with", 0)] = 0,
) -> Estimate:
    """MossFormer2, trained on noisy speech, masks what is not speech.

    Each channel is cleaned by itself. The background is what the vocals leave of the mixture.
    """
    import torch

    samples = clip.mixture.samples
    length = clip.mixture.length
    padded = np.pad(samples, ((0, 0), (0, max(LEAST_SECONDS * RATE_HZ - length, 0))))
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        vocals = np.concatenate([model(channel[np.newaxis]) for channel in padded])[:, :length]
    return Estimate(clip.mixture.like(vocals), clip.mixture.like(samples - vocals))
