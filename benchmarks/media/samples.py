"""Samples: ours, float32 of shape ``(channels, samples)``, and those of decoders and encoders."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from benchmarks.contract import Audio, Samples
from benchmarks.errors import UserError
from benchmarks.media.names import shown

CHUNK = 1 << 16  # samples that are read and written at a time
FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "flt": 1.0, "dbl": 1.0}


def sha256_of_audio(audio: Audio) -> str:
    """A hash, in hex, of the samples, their shape and their rate."""
    described = f"float32 {audio.channels} x {audio.length} at {audio.rate_hz} Hz\n"
    digest = hashlib.sha256(described.encode())
    digest.update(np.ascontiguousarray(audio.samples, dtype="<f4").data)
    return digest.hexdigest()


def as_float(frame: AudioFrame, path: Path) -> Samples:
    """A decoded frame as float32 of shape ``(channels, samples)``, full scale 1.0."""
    kind = frame.format.packed.name
    if kind not in FULL_SCALE:
        raise UserError(f"{shown(path)} has samples of the kind {kind}, which cannot be read")
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # what isn't finite `AudioReader.blocks` finds
        samples = values.astype(np.float32)
        if kind == "u8":
            samples -= np.float32(128)
        return samples * np.float32(1 / FULL_SCALE[kind])


def as_frame(samples: Samples, stream: AudioStream) -> AudioFrame:
    """Samples as the stream's encoder takes them; integers are rounded, clipped at full scale."""
    kind = stream.format
    values: NDArray[Any] = samples
    if kind.packed.name in ("s16", "s32"):
        bits = 16 if kind.packed.name == "s16" else 24
        top = 2.0 ** (bits - 1)
        rounded = np.clip(np.rint(samples * top), -top, top - 1)
        values = rounded.astype(np.int16) if bits == 16 else rounded.astype(np.int32) << 8
    if not kind.is_planar:
        values = values.T.reshape(1, -1)
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(values), kind.name, stream.layout)
    frame.sample_rate = stream.rate
    frame.time_base = Fraction(1, stream.rate)
    return frame
