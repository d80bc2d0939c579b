"""Video and audio in and out, block by block, so that files of any length need little memory.

PyAV decodes and encodes, with the ffmpeg it brings along; soxr changes rates. WAV is written
through PyAV too: libsndfile puts the time of day into float WAV files, must be told beforehand
whether a file will pass 4 GB, and reports a full disk as "System error".

Every mistake in a file is a :class:`~benchmarks.errors.UserError` of one line that names the file.
A file is opened as ``file:`` and its absolute path, so that no name is taken for a URL or an
option, and it is written under a temporary name beside its own, which it gets when it is complete.
"""

from __future__ import annotations

import errno
import hashlib
import heapq
import math
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import av
import numpy as np
import soxr
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.codec.context import Flags as CodecFlags
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from benchmarks.contract import Audio, ContractError, Samples
from benchmarks.errors import UserError

Timed: TypeAlias = "tuple[float, list[Packet[Any]]]"

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
BITS_PER_SECOND_AND_CHANNEL = {"aac": 128_000, "libopus": 96_000}
# Integers of 32 bits mean 24 to the encoders of FLAC and ALAC.
SAMPLE_FORMATS = {"alac": "s32p", "flac": "s32", "libopus": "flt"}

FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "flt": 1.0, "dbl": 1.0}
UNKNOWN_RIFF_BYTES = 0x7FFFF000  # programs that write to a pipe declare this much or more
OGG_PAGE_BYTES = 65307  # at most
CHUNK = 1 << 16


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
        self._container = _opened(path)
        try:
            self._stream = _sound_stream(self._container, path)
            context = self._stream.codec_context
            self.rate_hz = int(context.sample_rate)
            self.channels = int(context.channels)
            self.codec = context.codec.canonical_name
            self.has_video = _picture_stream(self._container) is not None
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
                f"{_shown(self.path)} holds {broken} samples that are NaN or infinite, the first "
                f"at {first / self.rate_hz:.3f} s: export it again, or set them to zero"
            )
        if not position:
            raise UserError(f"{_shown(self.path)} has sound of zero length (0 samples)")

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
                    f"{_shown(self.path)} changes at {self._seconds:.3f} s from {self.channels} "
                    f"channels at {self.rate_hz} Hz to {frame.layout.nb_channels} at "
                    f"{frame.sample_rate} Hz: cut it there and use the parts"
                )
            yield from self._pause_before(frame)
            self._done += frame.samples
            yield _as_float(frame, self.path)
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
            f"{_shown(self.path)} is damaged: its sound can be read up to {self._seconds:.3f} s "
            "and no further; repair it, or cut it there"
        )

    def _cut_off(self) -> UserError:
        declared = self.expected_seconds
        of = f" of {declared:.3f} s" if declared and declared > self._seconds else ""
        return UserError(
            f"{_shown(self.path)} is cut off: its sound can be read up to {self._seconds:.3f} s"
            f"{of}; copy or download it again"
        )


class _Output:
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
            _url(self._temporary),
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
                f"cannot write {_shown(self.path)}: {self.container.format.name} holds no sound of "
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
                f"cannot write {_shown(self.path)}: {self.container.format.name} holds no pictures "
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


class AudioWriter(_Output):
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
            frame = _frame(audio.samples[:, start : start + CHUNK], self._stream)
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
    with _Output(path, kind, {"rf64": "auto"} if kind == "wav" else {}) as output:
        stream = output.add_sound(codec, audio.rate_hz, audio.channels)
        output.mux(_sound_packets(stream, [audio]))


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
    with _Output(Path(path), "mp4", {"movflags": "+faststart"}) as output:
        picture = output.add_picture(width, height, fps, quality_crf)
        sound = output.add_sound("flac", audio.rate_hz, audio.channels)
        output.mux(
            _picture_packets(picture, chain((first,), pictures), fps),
            _sound_packets(sound, [audio]),
        )


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
        _opened(video) as source,
        open_audio(audio) as reader,
        _Output(out, container, options) as output,
    ):
        template = _picture_stream(source)
        if template is None:
            raise UserError(f"{_shown(video)} has no pictures: it is no video")
        picture = output.copy_picture(template)
        sound = output.add_sound(codec, reader.rate_hz, reader.channels)
        output.container.metadata.update(source.metadata)
        blocks = resample_blocks(reader.blocks(CHUNK), sound.rate)
        output.mux(
            _copied_packets(source, template, picture, video),
            _sound_packets(sound, blocks, begins_seconds),
        )


class Resampler:
    """Changes the rate of a stream, piece by piece, with soxr at its very high quality.

    There is no delay, and the pieces' sizes don't matter: together the results equal those of the
    whole at once. All arrays are ``(channels, samples)``.
    """

    def __init__(self, from_hz: int, to_hz: int, channels: int) -> None:
        self._from_hz, self._to_hz = from_hz, to_hz
        self._stream = soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32", quality="VHQ")
        self._channels = channels
        self._given = self._returned = 0

    def push(self, samples: Samples) -> Samples:
        """What can be said after these samples, which may be nothing yet."""
        self._given += samples.shape[1]
        return self._resampled(samples, last=False)

    def finish(self, length: int | None = None) -> Samples:
        """The rest, so that ``length`` samples came back in all: by default the given length at
        the new rate, rounded half up; at most one more."""
        if length is None:
            length = (2 * self._given * self._to_hz + self._from_hz) // (2 * self._from_hz)
        missing = length - self._returned
        silence = np.zeros((self._channels, self._from_hz // self._to_hz + 2), dtype=np.float32)
        return self._resampled(silence, last=True)[:, :missing]

    def _resampled(self, samples: Samples, *, last: bool) -> Samples:
        given = np.ascontiguousarray(samples.T)
        result: Samples = np.ascontiguousarray(self._stream.resample_chunk(given, last=last).T)
        self._returned += result.shape[1]
        return result


def resample(audio: Audio, rate_hz: int) -> Audio:
    """The same sound at another rate (soxr, very high quality), without delay.

    The length is ``length * rate_hz / audio.rate_hz``, rounded half up.
    """
    return Audio(
        np.concatenate([piece.samples for piece in resample_blocks([audio], rate_hz)], axis=1),
        rate_hz,
    )


def resample_blocks(blocks: Iterable[Audio], rate_hz: int) -> Iterator[Audio]:
    """The same stream at another rate: in all as long, and as exact, as :func:`resample` of it."""
    resampler: Resampler | None = None
    for block in blocks:
        if block.rate_hz == rate_hz:
            yield block
            continue
        resampler = resampler or Resampler(block.rate_hz, rate_hz, block.channels)
        yield Audio(resampler.push(block.samples), rate_hz)
    if resampler is not None:
        yield Audio(resampler.finish(), rate_hz)


def sha256_of_audio(audio: Audio) -> str:
    """A hash, in hex, of the samples, their shape and their rate."""
    described = f"float32 {audio.channels} x {audio.length} at {audio.rate_hz} Hz\n"
    digest = hashlib.sha256(described.encode())
    digest.update(np.ascontiguousarray(audio.samples, dtype="<f4").data)
    return digest.hexdigest()


def refuse_overwriting(out: Path, *inputs: Path) -> None:
    """Raise UserError when writing ``out`` would destroy a file that is read from."""
    for given in inputs:
        if out.exists() and given.exists() and out.samefile(given):
            raise UserError(f"{_shown(out)} would overwrite its own input: choose another name")


def _container_for(out: Path, lossless: bool) -> tuple[str, str]:
    """The muxer and the sound codec for a file of this name."""
    container, lossy, exact = CONTAINERS.get(out.suffix.lower(), ("", None, None))
    codec = exact if lossless else lossy
    if codec is None:
        choices = ", ".join(name for name, row in CONTAINERS.items() if row[2 if lossless else 1])
        what = "lossless sound" if lossless else "video"
        raise UserError(f"cannot write {_shown(out)} as {what}: its name may end in {choices}")
    return container, codec


def _opened(path: Path) -> InputContainer:
    try:
        if path.is_dir():
            raise UserError(f"{_shown(path)} is a folder, not a video or audio file")
        if not path.exists():
            raise UserError(f"{_shown(path)} does not exist")
        if not path.is_file():
            raise UserError(f"{_shown(path)} is not a regular file")
        return av.open(_url(path), metadata_errors="replace")
    except OSError as error:
        raise UserError(f"{_shown(path)} cannot be read: {error.strerror}") from error
    except av.error.FFmpegError as error:
        raise UserError(f"{_shown(path)} {_why_no_media(path)}") from error


def _why_no_media(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if not head:
        return "is empty (0 bytes)"
    if head[4:8] == b"ftyp":
        return "cannot be read: its index is missing, as when a recording or download is cut off"
    return "is not a video or audio file that can be read"


def _sound_stream(container: InputContainer, path: Path) -> AudioStream:
    stream = container.streams.best("audio")
    if stream is None:
        what = "is a video without sound" if _picture_stream(container) else "has no sound"
        raise UserError(f"{_shown(path)} {what}")
    if not isinstance(stream, AudioStream) or stream.codec_context is None:
        raise UserError(f"{_shown(path)} has sound of a kind that cannot be decoded here")
    return stream


def _picture_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that is not a cover picture."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    return None


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


def _as_float(frame: AudioFrame, path: Path) -> Samples:
    """A decoded frame as float32 of shape ``(channels, samples)``, full scale 1.0."""
    kind = frame.format.packed.name
    if kind not in FULL_SCALE:
        raise UserError(f"{_shown(path)} has samples of the kind {kind}, which cannot be read")
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    with np.errstate(over="ignore", invalid="ignore"):  # what isn't finite is found by `blocks`
        samples = values.astype(np.float32)
        if kind == "u8":
            samples -= np.float32(128)
        return samples * np.float32(1 / FULL_SCALE[kind])


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


def _sound_packets(
    stream: AudioStream, blocks: Iterable[Audio], starts_seconds: float = 0.0
) -> Iterator[Timed]:
    """The encoded blocks, each with its time, so that streams can be interleaved."""
    position = round(starts_seconds * stream.rate)
    for block in blocks:
        for start in range(0, block.length, CHUNK):
            frame = _frame(block.samples[:, start : start + CHUNK], stream)
            frame.pts = position
            yield position / stream.rate, stream.encode(frame)
            position += frame.samples
    yield position / stream.rate, stream.encode(None)


def _frame(samples: Samples, stream: AudioStream) -> AudioFrame:
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


def _picture_packets(
    stream: VideoStream, pictures: Iterable[NDArray[np.uint8]], fps: int
) -> Iterator[Timed]:
    count = 0
    for count, picture in enumerate(pictures):
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = count, Fraction(1, fps)
        yield count / fps, stream.encode(frame)
    yield count / fps, stream.encode(None)


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
        raise UserError(
            f"{_shown(path)} is damaged: its pictures end at {seconds:.3f} s"
        ) from error


def _sound_starts_at(path: Path) -> float:
    """When a video's own sound begins, in seconds of its clock; 0 when it has none."""
    with _opened(path) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            return 0.0
        try:
            frame = next(container.decode(stream), None)
        except av.error.FFmpegError as error:
            raise UserError(f"{_shown(path)} is damaged: its sound cannot be read") from error
    if frame is None or frame.pts is None or frame.time_base is None:
        return 0.0
    return float(frame.pts * frame.time_base)


def _layout(channels: int) -> AudioLayout:
    """The usual layout of so many channels, or one without places where there is none."""
    try:
        return AudioLayout(f"{channels}c")
    except ValueError:
        return AudioLayout(f"{channels}C")


def _check_full_scale(audio: Audio, path: Path) -> None:
    over = int(np.count_nonzero(np.abs(audio.samples) > 1.0))
    if over:
        raise ContractError(
            f"{path.name} holds integers, and {over} samples are above full scale: lower the "
            "level, or write 32-bit float"
        )


def _refuse_place(path: Path, needed_bytes: int) -> None:
    if path.is_dir():
        raise UserError(f"cannot write {_shown(path)}: a folder has that name")
    if path.exists() and not path.is_file():
        raise UserError(f"cannot write {_shown(path)}: it is not a regular file")
    if not path.parent.is_dir():
        raise UserError(f"cannot write {_shown(path)}: {_shown(path.parent)} is not a folder")
    free = shutil.disk_usage(path.parent).free
    if free < needed_bytes:
        raise UserError(
            f"cannot write {_shown(path)}: it needs {needed_bytes / 1e9:.2f} GB and the disk has "
            f"{free / 1e9:.2f} GB left; free some space and run again"
        )


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, av.error.FFmpegError) as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full; free some space and run again" if full else error.strerror
        raise UserError(f"cannot write {_shown(path)}: {why}") from error


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".sepbench-{secrets.token_hex(8)}.part")


def _url(path: Path) -> str:
    return f"file:{path.absolute()}"


def _shown(path: Path) -> str:
    """A file's name as it can stand in one line of text."""
    text = str(path)
    return text if text.isprintable() else ascii(text)[1:-1]
