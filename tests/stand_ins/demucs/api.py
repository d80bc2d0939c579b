"""The part of ``demucs.api`` that the method uses, as it is in release 4.1.0."""

from __future__ import annotations

import os
from typing import Any
from urllib.error import URLError

import torch

SOURCES = ("drums", "bass", "other", "vocals")


class Separator:
    """Stems by frequency: bass to 200 Hz, vocals to 4 kHz, drums above; nothing else."""

    def __init__(
        self, model: str = "htdemucs", shifts: int = 1, overlap: float = 0.25, **others: Any
    ) -> None:
        if "STAND_IN_OFFLINE" in os.environ:
            raise URLError("no network")
        self.given = {"model": model, "shifts": shifts, "overlap": overlap, **others}
        self.samplerate = 44100

    def separate_tensor(
        self, wav: torch.Tensor, sr: int | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """``(2, samples)`` float32; the stems come in the order of the model's sources."""
        assert wav.dtype == torch.float32
        assert wav.ndim == 2 and wav.shape[0] == 2, wav.shape
        assert sr in {None, self.samplerate}
        frequencies = torch.fft.rfftfreq(wav.shape[1], 1 / self.samplerate)
        spectrum = torch.fft.rfft(wav)
        edges = {"bass": (0, 200), "vocals": (200, 4000), "drums": (4000, 1e6), "other": (1e6, 1e6)}
        stems = {}
        for name in SOURCES:
            low, high = edges[name]
            band = (frequencies >= low) & (frequencies < high)
            stems[name] = torch.fft.irfft(spectrum * band, wav.shape[1])
        return wav, stems
