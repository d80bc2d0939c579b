"""The part of ``clearvoice`` that the method uses, as it is in release 0.1.2."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

WINDOW = 1920  # samples; the original fails on fewer


class ClearVoice:
    """A band from 200 Hz to 4 kHz, and as the original's a dither from torch's generator.

    Weights go below the current folder. Where they can't be had, the original prints a warning and
    goes on without.
    """

    def __init__(self, task: str, model_names: list[str]) -> None:
        assert task == "speech_enhancement"
        (name,) = model_names
        checkpoints = Path("checkpoints", name)
        checkpoints.mkdir(parents=True, exist_ok=True)
        print(f"downloading checkpoint for {name}")
        if "STAND_IN_OFFLINE" in os.environ:
            print(f"Warning: Downloading model {name} is not successful.")
        else:
            (checkpoints / "last_best_checkpoint").write_text("last_best_checkpoint.pt\n")

    def __call__(self, input_path: NDArray[np.float32]) -> NDArray[np.float32]:
        """One channel, ``(1, samples)``: with more, the original mixes up its masks."""
        channels, length = input_path.shape
        assert channels == 1 and length >= WINDOW, input_path.shape
        audio = torch.from_numpy(input_path).float()
        frequencies = torch.fft.rfftfreq(length, 1 / 48000)
        mask = ((frequencies > 200) & (frequencies < 4000)) * (1 - 0.01 * torch.rand(1))
        masked: NDArray[np.float32] = torch.fft.irfft(torch.fft.rfft(audio) * mask, length).numpy()
        return masked
