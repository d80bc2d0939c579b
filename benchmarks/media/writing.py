"""Writing: sound files, at once or block by block, and videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from benchmarks.contract import Audio, ContractError
from benchmarks.media.output import Output, Timed
from benchmarks.media.samples import CHUNK, as_frame


class AudioWriter(Output):
    """Writes a 32-bit float WAV file block by block. Use with ``with``.

    The file is there under its name only when the block has ended well. Above 4 GB it becomes
    RF64. Equal samples give equal bytes.

    Args:
        path: where to; an existing file is replaced.
        rate_hz: sample rate in Hz.
        channels: number of channels.
        expected_samples: samples per channel to come, when known, to refuse a full disk at once.

    Raises:
        UserError: when the file can't be written, or the disk is full.
    """

    def __init__(
        self, path: Path, rate_hz: int, channels: int, expected_samples: int | None = None
    ) -> None:
        needed_bytes = 4 * channels * (expected_samples or 0)
        super().__init__(path, "wav", {"rf64": "auto"}, needed_bytes)
        self._stream = self.add_sound("pcm_f32le", rate_hz, channels)

    def write(self, audio: Audio) -> None:
        """Append this piece, of the file's rate and channels."""
        given = (audio.rate_hz, audio.channels)
        if given != (self._stream.rate, self._stream.channels):
            raise ContractError(
                f"{self.path.name} holds {self._stream.channels} channels at "
                f"{self._stream.rate} Hz, not {audio.channels} at {audio.rate_hz} Hz"
            )
        for start in range(0, audio.length, CHUNK):
            frame = as_frame(audio.samples[:, start : start + CHUNK], self._stream)
            self.put(self._stream.encode(frame))


def write_audio(path: Path, audio: Audio, *, subtype: str = "FLOAT") -> None:
    """Write a sound file, which appears under its name only when it is complete.

    Args:
        path: ends in ``.wav``, or in ``.flac``, which holds 24-bit integers.
        audio: the sound.
        subtype: of a WAV file: FLOAT (32 bits, exact), PCM_24 or PCM_16 (rounded).

    Raises:
        UserError: when the file can't be written.
        ContractError: for samples above full scale where integers are written.
    """
    path = Path(path)
    codecs = {"FLOAT": "pcm_f32le", "PCM_24": "pcm_s24le", "PCM_16": "pcm_s16le"}
    kinds = {".wav": ("wav", codecs.get(subtype)), ".flac": ("flac", "flac")}
    kind, codec = kinds.get(path.suffix.lower(), ("", None))
    if codec is None:
        raise ContractError(f"no way to write {path.name} as {subtype}: .wav or .flac, please")
    if codec != "pcm_f32le":
        _check_full_scale(audio, path)
    with Output(path, kind, {"rf64": "auto"} if kind == "wav" else {}) as output:
        stream = output.add_sound(codec, audio.rate_hz, audio.channels)
        output.mux(sound_packets(stream, [audio]))


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    fps: int,
    audio: Audio,
    *,
    quality_crf: int = 20,
) -> None:
    """Write an MP4 of H.264 pictures and lossless sound: FLAC of 24 bits, which browsers play.

    Equal input gives equal bytes with equal versions of the encoders.

    Args:
        path: where to; an existing file is replaced.
        frames: RGB pictures of shape ``(height, width, 3)``, both even, drawn as they are needed.
        fps: pictures a second.
        audio: the sound; samples on the grid of ``2**-23`` come back bit for bit.
        quality_crf: x264's constant rate factor, 0 (lossless) to 51; lower is better and larger.

    Raises:
        UserError: when the file can't be written.
        ContractError: for samples above full scale or frames of odd size.
    """
    _check_full_scale(audio, Path(path))
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise ContractError("a video needs at least one picture")
    height, width = first.shape[:2]
    if height % 2 or width % 2:
        raise ContractError(f"pictures of {width} x {height}: H.264 wants even numbers")
    with Output(Path(path), "mp4", {"movflags": "+faststart"}) as output:
        picture = output.add_picture(width, height, fps, quality_crf)
        sound = output.add_sound("flac", audio.rate_hz, audio.channels)
        output.mux(
            _picture_packets(picture, chain((first,), pictures), fps),
            sound_packets(sound, [audio]),
        )


def sound_packets(
    stream: AudioStream, blocks: Iterable[Audio], starts_seconds: float = 0.0
) -> Iterator[Timed]:
    """The encoded blocks, each with its time, so that streams can be interleaved."""
    position = round(starts_seconds * stream.rate)
    for block in blocks:
        for start in range(0, block.length, CHUNK):
            frame = as_frame(block.samples[:, start : start + CHUNK], stream)
            frame.pts = position
            yield position / stream.rate, stream.encode(frame)
            position += frame.samples
    yield position / stream.rate, stream.encode(None)


def _picture_packets(
    stream: VideoStream, pictures: Iterable[NDArray[np.uint8]], fps: int
) -> Iterator[Timed]:
    count = 0
    for count, picture in enumerate(pictures):
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = count, Fraction(1, fps)
        yield count / fps, stream.encode(frame)
    yield count / fps, stream.encode(None)


def _check_full_scale(audio: Audio, path: Path) -> None:
    over = int(np.count_nonzero(np.abs(audio.samples) > 1.0))
    if over:
        raise ContractError(
            f"{path.name} holds integers, and {over} samples are above full scale: lower the "
            "level, or write 32-bit float"
        )
