"""Opening a file for its sound or its pictures, or saying in one line why that can't be."""

from __future__ import annotations

from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from benchmarks.errors import UserError
from benchmarks.media.names import shown, url


def opened(path: Path) -> InputContainer:
    """A file's container, which the caller closes; UserError when the file cannot be opened."""
    try:
        if path.is_dir():
            raise UserError(f"{shown(path)} is a folder, not a video or audio file")
        if not path.exists():
            raise UserError(f"{shown(path)} does not exist")
        if not path.is_file():
            raise UserError(f"{shown(path)} is not a regular file")
        return av.open(url(path), metadata_errors="replace")
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be read: {error.strerror}") from error
    except av.error.FFmpegError as error:
        raise UserError(f"{shown(path)} {_why_no_media(path)}") from error


def sound_stream(container: InputContainer, path: Path) -> AudioStream:
    """The best of a file's sound streams, as players choose it; UserError when there is none."""
    stream = container.streams.best("audio")
    if stream is None:
        what = "is a video without sound" if picture_stream(container) else "has no sound"
        raise UserError(f"{shown(path)} {what}")
    if not isinstance(stream, AudioStream) or stream.codec_context is None:
        raise UserError(f"{shown(path)} has sound of a kind that cannot be decoded here")
    return stream


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that is not a cover picture."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def _why_no_media(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if not head:
        return "is empty (0 bytes)"
    if head[4:8] == b"ftyp":
        return "cannot be read: its index is missing, as when a recording or download is cut off"
    return "is not a video or audio file that can be read"
