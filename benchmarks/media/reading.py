"""Reading: the sound of any file, decoded block by block, to its end or to where it is damaged."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.stream import Discard, Stream

from benchmarks.contract import Audio, Samples
from benchmarks.errors import UserError
from benchmarks.media.names import shown
from benchmarks.media.opening import opened, picture_stream, sound_stream
from benchmarks.media.resampling import resample
from benchmarks.media.samples import CHUNK, as_float

# How far, in seconds, the sound may stay behind what its file declares before the file counts as
# cut off. Formats that are not here declare nothing: they are read to where they end.
DECLARED_WITHIN_SECONDS = {
    **dict.fromkeys(("aiff", "caf", "flac", "wav", "wv"), 0.02),
    **dict.fromkeys(("avi", "mov,mp4,m4a,3gp,3g2,mj2", "mp3", "ogg"), 0.25),
    "matroska,webm": 0.5,
}
# Bare streams without an index, where what follows the last frame may be a tag and no damage.
ENDS_IN_TAGS = ("aac", "ac3", "eac3", "mp3", "mpegts")
# Containers with a clock of their own, in which a recording may pause.
MAY_PAUSE = ("asf", "avi", "flv", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "mpegts")
PAUSE_SECONDS = (0.1, 60.0)

UNKNOWN_RIFF_BYTES = 0x7FFFF000  # programs that write to a pipe declare this much or more
OGG_PAGE_BYTES = 65307  # at most


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file says of itself. ``duration_seconds`` is its sound's, and may be an estimate."""

    path: Path
    duration_seconds: float | None
    rate_hz: int
    channels: int
    has_video: bool
    audio_codec: str


def probe(path: Path) -> MediaInfo:
    """What is in a video or audio file, without decoding it.

    Raises:
        UserError: when the file is missing, is no media or has no sound.
    """
    with open_audio(path) as reader:
        return MediaInfo(
            path=Path(path),
            duration_seconds=reader.expected_seconds,
            rate_hz=reader.rate_hz,
            channels=reader.channels,
            has_video=reader.has_video,
            audio_codec=reader.codec,
        )


def read_audio(path: Path, *, rate_hz: int | None = None) -> Audio:
    """The whole sound of a video or audio file: every sample that its decoder gives.

    Args:
        path: any format that ffmpeg decodes, with 1 or more channels.
        rate_hz: resample to this rate; the file's own by default.

    Raises:
        UserError: as :func:`open_audio` and :meth:`AudioReader.blocks`.
    """
    with open_audio(path) as reader:
        samples = np.concatenate([block.samples for block in reader.blocks(CHUNK)], axis=1)
        audio = Audio(samples, reader.rate_hz)
    return audio if rate_hz is None else resample(audio, rate_hz)


def open_audio(path: Path) -> AudioReader:
    """Open the sound of a video or audio file, to be read in blocks, once. Use with ``with``.

    The best sound stream is taken where there are several, as players do.

    Raises:
        UserError: when the file is missing, a folder, no media, or a video without sound.
    """
    return AudioReader(Path(path))


class AudioReader:
    """The sound of one file, decoded block by block. See :func:`open_audio`.

    ``expected_samples`` and ``expected_seconds`` are what the file declares, or an estimate from
    its size; None when it says nothing. ``notes`` grows while the blocks are read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._container = opened(path)
        try:
            self._stream = sound_stream(self._container, path)
            context = self._stream.codec_context
            self.rate_hz = int(context.sample_rate)
            self.channels = int(context.channels)
            self.codec = context.codec.canonical_name
            self.has_video = picture_stream(self._container) is not None
            self.notes: list[str] = []
            self._format = self._container.format.name
            self._watched = self._watch()
            self._done = 0
            self._reached_seconds = 0.0
            self._clock_seconds: float | None = None
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def expected_seconds(self) -> float | None:
        stream, whole = self._stream, self._container.duration
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return None if whole is None else whole / av.time_base

    @property
    def expected_samples(self) -> int | None:
        seconds = self.expected_seconds
        return None if seconds is None else round(seconds * self.rate_hz)

    def blocks(self, samples: int) -> Iterator[Audio]:
        """The sound from its start in blocks of this many samples; the last may be shorter.

        A pause in the recording, of 0.1 s to a minute, is filled with silence and noted, so that
        time stays right.

        Raises:
            UserError: when the sound has no samples, is damaged or cut off (the message says how
                far it can be read), changes its rate or its channels on the way, or holds NaN or
                infinite samples (it says how many, and where the first is).
        """
        if self._done:
            raise RuntimeError("the blocks of a reader can be read only once")
        position = broken = first = 0
        for block in _in_blocks(self._pieces(), samples):
            wrong = ~np.isfinite(block)
            if wrong.any():
                first = first if broken else position + int(wrong.any(axis=0).argmax())
                broken += int(np.count_nonzero(wrong))
            position += block.shape[1]
            if not broken:
                yield Audio(block, self.rate_hz)
        if broken:
            raise UserError(
                f"{shown(self.path)} holds {broken} samples that are NaN or infinite, the first "
                f"at {first / self.rate_hz:.3f} s: export it again, or set them to zero"
            )
        if not position:
            raise UserError(f"{shown(self.path)} has sound of zero length (0 samples)")

    def _watch(self) -> tuple[Stream, ...]:
        """The streams to read: the sound, and all of Matroska, which declares only a common end."""
        if self._format == "matroska,webm":
            return tuple(self._container.streams)
        for stream in self._container.streams:
            stream.discard = Discard.default if stream is self._stream else Discard.all
        return (self._stream,)

    def _pieces(self) -> Iterator[Samples]:
        for frame in self._frames():
            if (frame.sample_rate, frame.layout.nb_channels) != (self.rate_hz, self.channels):
                raise UserError(
                    f"{shown(self.path)} changes at {self._seconds:.3f} s from {self.channels} "
                    f"channels at {self.rate_hz} Hz to {frame.layout.nb_channels} at "
                    f"{frame.sample_rate} Hz: cut it there and use the parts"
                )
            yield from self._pause_before(frame)
            self._done += frame.samples
            yield as_float(frame, self.path)
        self._check_complete()

    def _frames(self) -> Iterator[AudioFrame]:
        packets = self._container.demux(self._watched)
        failed = False
        while True:
            try:
                packet = next(packets, None)
                frames = [] if packet is None else self._decoded(packet)
            except av.error.FFmpegError as error:
                if self._format not in ENDS_IN_TAGS or error.errno == errno.EIO:
                    raise self._damage() from error
                failed = True
                continue
            if packet is None:
                break
            if frames and failed:
                raise self._damage()
            yield from frames
        if failed and not self._done:
            raise self._damage()

    def _decoded(self, packet: Packet[Any]) -> list[AudioFrame]:
        if packet.pts is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._reached_seconds = max(self._reached_seconds, end)
        if packet.stream is not self._stream:
            return []
        # A WAV of unknown length, as pipes write them, ends in a packet that is called corrupt too.
        if packet.is_corrupt and self._format not in ("wav", *ENDS_IN_TAGS):
            raise self._cut_off()
        frames: list[AudioFrame] = self._stream.codec_context.decode(packet)
        return frames

    def _pause_before(self, frame: AudioFrame) -> Iterator[Samples]:
        if frame.pts is None or frame.time_base is None:
            return
        start = float(frame.pts * frame.time_base)
        pause = 0.0 if self._clock_seconds is None else start - self._clock_seconds
        self._clock_seconds = start + frame.samples / self.rate_hz
        if pause <= PAUSE_SECONDS[0]:
            return
        if self._format not in MAY_PAUSE or pause > PAUSE_SECONDS[1]:
            raise self._damage()
        self.notes.append(
            f"the recording pauses for {pause:.2f} s at {self._seconds:.2f} s; "
            "silence stands in for it"
        )
        silent = round(pause * self.rate_hz)
        self._done += silent
        yield np.zeros((self.channels, silent), dtype=np.float32)

    def _check_complete(self) -> None:
        allowed = DECLARED_WITHIN_SECONDS.get(self._format)
        declared = self.expected_seconds
        # Without the encoder's tag the length of an MP3 is only guessed from its size.
        guessed = self._format == "mp3" and "encoder" not in self._stream.metadata
        if allowed is not None and declared is not None and not guessed:
            whole = self._format == "matroska,webm"
            reached = self._reached_seconds if whole else self._seconds
            if reached < declared - allowed:
                raise self._cut_off()
        if _lacks_its_end(self.path):
            raise self._cut_off()

    @property
    def _seconds(self) -> float:
        return self._done / self.rate_hz

    def _damage(self) -> UserError:
        return UserError(
            f"{shown(self.path)} is damaged: its sound can be read up to {self._seconds:.3f} s "
            "and no further; repair it, or cut it there"
        )

    def _cut_off(self) -> UserError:
        declared = self.expected_seconds
        of = f" of {declared:.3f} s" if declared and declared > self._seconds else ""
        return UserError(
            f"{shown(self.path)} is cut off: its sound can be read up to {self._seconds:.3f} s"
            f"{of}; copy or download it again"
        )


def _lacks_its_end(path: Path) -> bool:
    """True when a WAV, an AVI or an Ogg file is shorter than it says of itself."""
    with path.open("rb") as file:
        head = file.read(28)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 2 * OGG_PAGE_BYTES, 0))
        tail = file.read() if head[:4] == b"OggS" else b""
    if tail:
        page = tail[tail.rfind(b"OggS") :]
        segments = page[26] if len(page) > 26 else 0
        return len(page) < max(27 + segments + sum(page[27 : 27 + segments]), 28)
    declared = int.from_bytes(head[4:8], "little") if head[:4] == b"RIFF" else 0
    if head[:4] == b"RF64" and head[12:16] == b"ds64":
        return size + 8 < int.from_bytes(head[20:28], "little")
    return size + 8 < declared < UNKNOWN_RIFF_BYTES


def _in_blocks(pieces: Iterable[Samples], length: int) -> Iterator[Samples]:
    """The same samples in blocks of this length; the last is what remains."""
    held: list[Samples] = []
    count = 0
    for piece in pieces:
        rest = piece
        while count + rest.shape[1] >= length:
            cut = length - count
            yield np.concatenate([*held, rest[:, :cut]], axis=1)
            rest, held, count = rest[:, cut:], [], 0
        held.append(rest)
        count += rest.shape[1]
    if count:
        yield np.concatenate(held, axis=1)
