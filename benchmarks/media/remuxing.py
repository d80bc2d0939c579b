"""Another sound for a video, whose pictures stay as they are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from benchmarks.errors import UserError
from benchmarks.media.names import refuse_overwriting, shown
from benchmarks.media.opening import opened, picture_stream
from benchmarks.media.output import Output, Timed
from benchmarks.media.reading import open_audio
from benchmarks.media.resampling import resample_blocks
from benchmarks.media.samples import CHUNK
from benchmarks.media.writing import sound_packets

# By suffix: the muxer, the codec where a little loss is allowed, the lossless one.
CONTAINERS = {
    ".avi": ("avi", "pcm_s16le", None),
    ".m4v": ("mp4", "aac", "flac"),
    ".mkv": ("matroska", "aac", "flac"),
    ".mov": ("mov", "aac", "alac"),
    ".mp4": ("mp4", "aac", "flac"),
    ".ts": ("mpegts", "aac", None),
    ".webm": ("webm", "libopus", None),
}


def remux(video: Path, audio: Path, out: Path, *, lossless: bool = False) -> None:
    """Copy a video's pictures untouched and put another sound in the place of its own.

    The new sound begins where the old one did, so that lips and words stay together. It becomes
    AAC (Opus in webm, 16-bit samples in avi), resampled where the codec lacks the sound's rate.

    Args:
        video: the video.
        audio: a file with the new sound, of any length.
        out: where to; its suffix chooses the container (mp4, m4v, mov, mkv, webm, avi or ts).
        lossless: FLAC or ALAC of 24 bits, clipped at full scale, in their place.

    Raises:
        UserError: when a file can't be read or written, or ``out`` can't hold its pictures or
            sound.
    """
    refuse_overwriting(out, video, audio)
    container, codec = _container_for(out, lossless)
    begins_seconds = _sound_starts_at(video)
    options = {"movflags": "+faststart"} if container in ("mp4", "mov") else {}
    with (
        opened(video) as source,
        open_audio(audio) as reader,
        Output(out, container, options) as output,
    ):
        template = picture_stream(source)
        if template is None:
            raise UserError(f"{shown(video)} has no pictures: it is no video")
        picture = output.copy_picture(template)
        sound = output.add_sound(codec, reader.rate_hz, reader.channels)
        output.container.metadata.update(source.metadata)
        blocks = resample_blocks(reader.blocks(CHUNK), sound.rate)
        output.mux(
            _copied_packets(source, template, picture, video),
            sound_packets(sound, blocks, begins_seconds),
        )


def _container_for(out: Path, lossless: bool) -> tuple[str, str]:
    """The muxer and the sound codec for a file of this name."""
    container, lossy, exact = CONTAINERS.get(out.suffix.lower(), ("", None, None))
    codec = exact if lossless else lossy
    if codec is None:
        choices = ", ".join(name for name, row in CONTAINERS.items() if row[2 if lossless else 1])
        what = "lossless sound" if lossless else "video"
        raise UserError(f"cannot write {shown(out)} as {what}: its name may end in {choices}")
    return container, codec


def _copied_packets(
    source: InputContainer, template: VideoStream, stream: VideoStream, path: Path
) -> Iterator[Timed]:
    seconds = -math.inf
    try:
        for packet in source.demux(template):
            if not packet.size:  # the end of the stream
                continue
            if packet.dts is not None:
                seconds = max(seconds, float(packet.dts * packet.time_base))
            packet.stream = stream
            yield seconds, [packet]
    except av.error.FFmpegError as error:
        raise UserError(f"{shown(path)} is damaged: its pictures end at {seconds:.3f} s") from error


def _sound_starts_at(path: Path) -> float:
    """When a video's own sound begins, in seconds of its clock; 0 when it has none."""
    with opened(path) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            return 0.0
        try:
            frame = next(container.decode(stream), None)
        except av.error.FFmpegError as error:
            raise UserError(f"{shown(path)} is damaged: its sound cannot be read") from error
    if frame is None or frame.pts is None or frame.time_base is None:
        return 0.0
    return float(frame.pts * frame.time_base)
