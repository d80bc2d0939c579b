"""A media file on its way to the disk: whole under its own name, or not there at all."""

from __future__ import annotations

import errno
import heapq
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import av
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.codec.context import Flags as CodecFlags
from av.packet import Packet
from av.video.stream import VideoStream

from benchmarks.errors import UserError
from benchmarks.media.names import shown, url

# Packets, and when they are due in seconds, so that streams can be interleaved.
Timed: TypeAlias = "tuple[float, list[Packet[Any]]]"

BITS_PER_SECOND_AND_CHANNEL = {"aac": 128_000, "libopus": 96_000}
# Integers of 32 bits mean 24 to the encoders of FLAC and ALAC.
SAMPLE_FORMATS = {"alac": "s32p", "flac": "s32", "libopus": "flt"}


class Output:
    """A media file written under a temporary name, which becomes its own when ``with`` ends well.

    Every failure to write is a UserError of one line, and leaves nothing behind.
    """

    def __init__(
        self, path: Path, container: str, options: dict[str, str], needed_bytes: int = 0
    ) -> None:
        self.path = path
        with _write_errors(path):
            _refuse_place(path, needed_bytes)
            self._temporary = _temporary_name(path)
            self._temporary.touch()
        # bitexact leaves out dates and version numbers: equal input, equal bytes.
        self.container = av.open(
            url(self._temporary),
            "w",
            format=container,
            container_options={"fflags": "+bitexact", **options},
        )
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def add_sound(self, codec: str, rate_hz: int, channels: int) -> AudioStream:
        """A sound stream, at the rate given or, where the codec lacks it, the next above."""
        known = av.codec.Codec(codec, "w").audio_rates or [rate_hz]
        rate_hz = min((rate for rate in known if rate >= rate_hz), default=48000)
        try:
            stream = self.container.add_stream(codec, rate=rate_hz, layout=_layout(channels))
            assert isinstance(stream, AudioStream)
            if codec in SAMPLE_FORMATS:
                stream.format = SAMPLE_FORMATS[codec]
            stream.bit_rate = channels * BITS_PER_SECOND_AND_CHANNEL.get(codec, 0)
            stream.codec_context.flags |= CodecFlags.bitexact
            stream.codec_context.open()
        except (av.error.FFmpegError, ValueError) as error:
            self.discard()
            raise UserError(
                f"cannot write {shown(self.path)}: {self.container.format.name} holds no sound of "
                f"{channels} channels at {rate_hz} Hz as {codec}"
            ) from error
        return stream

    def add_picture(self, width: int, height: int, fps: int, quality_crf: int) -> VideoStream:
        # One thread: what x264 writes depends on their number.
        options = {"crf": str(quality_crf), "preset": "medium", "threads": "1"}
        stream = self.container.add_stream(
            "libx264", rate=fps, options=options, width=width, height=height
        )
        stream.pix_fmt = "yuv420p"
        # RGB is converted by BT.601 (6); unless told, players take BT.709 for large pictures.
        stream.codec_context.colorspace = 6
        stream.codec_context.color_range = 1
        stream.codec_context.flags |= CodecFlags.bitexact
        return stream

    def copy_picture(self, template: VideoStream) -> VideoStream:
        """A stream that takes another's packets as they are."""
        try:
            stream = self.container.add_stream_from_template(template, opaque=True)
        except (av.error.FFmpegError, ValueError) as error:
            raise UserError(
                f"cannot write {shown(self.path)}: {self.container.format.name} holds no pictures "
                f"of {template.codec_context.codec.canonical_name}; choose .mkv"
            ) from error
        if self.container.format.name in template.container.format.name.split(","):
            # The same codec may go by several names, and some players know but one: hvc1, hev1.
            stream.codec_context.codec_tag = template.codec_context.codec_tag
        return stream

    def mux(self, *streams: Iterator[Timed]) -> None:
        """Write the packets of all streams in the order of their times."""
        for _, packets in heapq.merge(*streams, key=itemgetter(0)):
            self.put(packets)

    def put(self, packets: list[Packet[Any]]) -> None:
        with _write_errors(self.path):
            self.container.mux(packets)

    def finish(self) -> None:
        """End the file and bring it to the disk, still under its temporary name."""
        if not self._finished:
            with _write_errors(self.path):
                self.container.start_encoding()
                self.container.close()
                with self._temporary.open("rb+") as file:
                    os.fsync(file.fileno())
            self._finished = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.finish()
                with _write_errors(self.path):
                    self._temporary.replace(self.path)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what was written so far, unless it has its own name already."""
        with suppress(av.error.FFmpegError):  # it has failed before, and was told then
            self.container.close()
        self._temporary.unlink(missing_ok=True)


def _layout(channels: int) -> AudioLayout:
    """The usual layout of so many channels, or one without places where there is none."""
    try:
        return AudioLayout(f"{channels}c")
    except ValueError:
        return AudioLayout(f"{channels}C")


def _refuse_place(path: Path, needed_bytes: int) -> None:
    if path.is_dir():
        raise UserError(f"cannot write {shown(path)}: a folder has that name")
    if path.exists() and not path.is_file():
        raise UserError(f"cannot write {shown(path)}: it is not a regular file")
    if not path.parent.is_dir():
        raise UserError(f"cannot write {shown(path)}: {shown(path.parent)} is not a folder")
    free = shutil.disk_usage(path.parent).free
    if free < needed_bytes:
        raise UserError(
            f"cannot write {shown(path)}: it needs {needed_bytes / 1e9:.2f} GB and the disk has "
            f"{free / 1e9:.2f} GB left; free some space and run again"
        )


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, av.error.FFmpegError) as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full; free some space and run again" if full else error.strerror
        raise UserError(f"cannot write {shown(path)}: {why}") from error


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".sepbench-{secrets.token_hex(8)}.part")
