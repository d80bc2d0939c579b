"""Video and audio in and out: exact samples, bounded memory, one clear line for every bad file."""

from __future__ import annotations

import errno
import itertools
import math
import os
import tracemalloc
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from benchmarks import media
from benchmarks.contract import Audio, ContractError
from benchmarks.errors import UserError
from benchmarks.media import output

RATE_HZ = 44100
# What each codec's encoder takes; the first letters are the container's name.
CODECS = {
    "flac": ("flac", "flac", "s16"),
    "mp3": ("mp3", "libmp3lame", "fltp"),
    "ogg": ("ogg", "libopus", "flt"),
    "mp4": ("mp4", "aac", "fltp"),
    "m4a": ("mp4", "alac", "s16p"),
    "mkv": ("matroska", "aac", "fltp"),
    "webm": ("webm", "libopus", "flt"),
    "aac": ("adts", "aac", "fltp"),
    "ts": ("mpegts", "aac", "fltp"),
    "wav": ("wav", "pcm_s16le", "s16"),
    "avi": ("avi", "libmp3lame", "fltp"),
    "mov": ("mov", "aac", "fltp"),
}


def noise(channels: int, length: int, *, seed: int = 0, level: float = 0.1) -> Audio:
    """Noise below 4 kHz or so, which every codec keeps."""
    random = np.random.default_rng(seed)
    white = random.standard_normal((channels, length + 15))
    smooth = sum(white[:, n : n + length] for n in range(16)) / 4
    return Audio.of(np.clip(level * smooth, -0.99, 0.99), RATE_HZ)


def at_rate(audio: Audio, rate_hz: int) -> Audio:
    return Audio(audio.samples, rate_hz)


def sound_frame(audio: Audio, kind: str, at: int = 0) -> Any:
    samples: NDArray[Any] = audio.samples
    if kind.startswith("s16"):
        samples = np.rint(samples * 32767).astype(np.int16)
    if not kind.endswith("p"):
        samples = samples.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples), format=kind, layout=f"{audio.channels}c"
    )
    frame.sample_rate, frame.pts = audio.rate_hz, at
    frame.time_base = Fraction(1, audio.rate_hz)
    return frame


def encode(
    path: Path,
    audio: Audio | None,
    *,
    pictures: int = 0,
    starts_seconds: float = 0.0,
    pause_seconds: float = 0.0,
    options: dict[str, str] | None = None,
) -> Path:
    """A file in the format of its suffix, of sound, pictures (25 a second) or both.

    ``pause_seconds`` is a hole in the sound's timestamps, in its middle.
    """
    container, codec, kind = CODECS[path.suffix[1:]]
    with av.open(f"file:{path.absolute()}", "w", format=container, options=options) as out:
        film: Any = None
        if pictures:
            film = out.add_stream(
                "libvpx" if container == "webm" else "libx264", rate=25, width=64, height=48
            )
        if audio is not None:
            stream: Any = out.add_stream(codec, rate=audio.rate_hz, layout=f"{audio.channels}c")
            stream.format = kind
        for number, picture in enumerate(cards(pictures)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(film.encode(frame))
        if audio is not None:
            first = round(starts_seconds * audio.rate_hz)
            half = audio.length // 2 // 1024 * 1024 if pause_seconds else 0
            second = first + half + round(pause_seconds * audio.rate_hz)
            for piece, at in ((audio.cut(0, half), first), (audio.cut(half, 10**9), second)):
                if piece.length:
                    out.mux(stream.encode(sound_frame(piece, kind, at)))
            out.mux(stream.encode(None))
        if pictures:
            out.mux(film.encode(None))
    return path


def cards(count: int, width: int = 64, height: int = 48) -> Iterator[NDArray[np.uint8]]:
    for number in range(count):
        yield np.full((height, width, 3), 9 * number % 255, np.uint8)


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


def delay_of(heard: NDArray[Any], expected: NDArray[Any]) -> int:
    """How many samples later the same sound comes, by its correlation."""
    size = 1 << (heard.size + expected.size).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(expected, size))
    place = int(np.argmax(np.fft.irfft(spectrum)))
    return place if place < size // 2 else place - size


def snr_db(reference: NDArray[Any], estimate: NDArray[Any]) -> float:
    wrong = np.sum((reference.astype(float) - estimate) ** 2)
    return float(10 * np.log10(np.sum(reference.astype(float) ** 2) / wrong))


# Reading


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_sample_kind_of_wav_is_read_as_libsndfile_reads_it(
    tmp_path: Path, subtype: str
) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(2, 3000).samples.T, RATE_HZ, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(media.read_audio(path).samples, expected.T)


@pytest.mark.parametrize("suffix", ["flac", "mp3", "ogg", "m4a", "webm"])
def test_formats_that_know_their_length_give_every_sample_and_no_delay(
    tmp_path: Path, suffix: str
) -> None:
    audio = at_rate(noise(2, 30001), 48000)
    read = media.read_audio(encode(tmp_path / f"x.{suffix}", audio))
    assert (read.length, read.channels, read.rate_hz) == (30001, 2, 48000)
    assert delay_of(read.samples[0], audio.samples[0]) == 0
    assert snr_db(audio.samples, read.samples) > 8


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_aac_starts_at_the_first_sample_and_ends_within_its_last_frame(
    tmp_path: Path, suffix: str
) -> None:
    audio = noise(2, 30001)
    read = media.read_audio(encode(tmp_path / f"x.{suffix}", audio, pictures=20))
    assert 30001 <= read.length < 30001 + 1024
    assert delay_of(read.samples[0], audio.samples[0]) == 0
    assert snr_db(audio.samples, read.samples[:, :30001]) > 8


@pytest.mark.parametrize("rate_hz", [8000, 11025, 44100, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_layout_come_back_with_their_channels_in_order(
    tmp_path: Path, rate_hz: int, channels: int
) -> None:
    audio = at_rate(noise(channels, rate_hz // 20), rate_hz)  # 50 ms
    media.write_audio(tmp_path / "x.flac", audio)
    media.write_audio(tmp_path / "x.wav", audio)
    np.testing.assert_array_equal(media.read_audio(tmp_path / "x.wav").samples, audio.samples)
    flac = media.read_audio(tmp_path / "x.flac")
    assert flac.rate_hz == rate_hz
    np.testing.assert_allclose(flac.samples, audio.samples, rtol=0, atol=2.0**-24)


def test_a_rate_may_be_asked_for(tmp_path: Path) -> None:
    audio = noise(1, 44100)
    media.write_audio(tmp_path / "x.wav", audio)
    read = media.read_audio(tmp_path / "x.wav", rate_hz=16000)
    np.testing.assert_array_equal(read.samples, media.resample(audio, 16000).samples)


@pytest.mark.parametrize("length", [1, 7, 1000, 4096, 100_000])
def test_blocks_have_the_length_asked_for_and_join_to_the_whole(
    tmp_path: Path, length: int
) -> None:
    audio = noise(2, 5000)
    media.write_audio(tmp_path / "x.wav", audio)
    with media.open_audio(tmp_path / "x.wav") as reader:
        assert (reader.rate_hz, reader.channels, reader.expected_samples) == (RATE_HZ, 2, 5000)
        blocks = [block.samples for block in reader.blocks(length)]
    assert {block.shape[1] for block in blocks[:-1]} <= {length}
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), audio.samples)


def test_the_blocks_of_a_reader_are_there_once(tmp_path: Path) -> None:
    media.write_audio(tmp_path / "x.wav", noise(1, 100))
    with media.open_audio(tmp_path / "x.wav") as reader:
        list(reader.blocks(10))
        with pytest.raises(RuntimeError, match="once"):
            list(reader.blocks(10))


def test_a_long_file_is_read_and_written_in_little_memory(tmp_path: Path) -> None:
    piece = noise(2, RATE_HZ)
    tracemalloc.start()
    with media.AudioWriter(tmp_path / "x.wav", RATE_HZ, 2) as writer:
        for _ in range(60):
            writer.write(piece)
    with media.open_audio(tmp_path / "x.wav") as reader:
        total = sum(block.length for block in reader.blocks(RATE_HZ))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 60 * RATE_HZ
    assert peak_bytes < 4e6 < 21e6 < (tmp_path / "x.wav").stat().st_size


def test_probe_tells_video_from_sound(tmp_path: Path) -> None:
    film = media.probe(encode(tmp_path / "film.mp4", noise(2, 44100), pictures=25))
    assert (film.has_video, film.channels, film.rate_hz, film.audio_codec) == (
        True, 2, RATE_HZ, "aac",
    )  # fmt: skip
    assert film.duration_seconds == pytest.approx(1.0, abs=0.03)
    sound = media.probe(encode(tmp_path / "sound.mp3", noise(1, 44100)))
    assert (sound.has_video, sound.channels, sound.audio_codec) == (False, 1, "mp3")


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    """An ID3 tag with a picture of one pixel, before an MP3, as music files have it."""
    with av.open(str(tmp_path / "cover.png"), "w", format="image2") as out:
        stream: Any = out.add_stream("png", width=1, height=1)
        stream.pix_fmt = "rgb24"
        frame = av.VideoFrame.from_ndarray(np.zeros((1, 1, 3), np.uint8), format="rgb24")
        out.mux(stream.encode(frame) + stream.encode(None))
    picture = b"\0image/png\0\x03\0" + (tmp_path / "cover.png").read_bytes()
    entry = b"APIC" + len(picture).to_bytes(4, "big") + b"\0\0" + picture
    size = bytes(len(entry) >> shift & 0x7F for shift in (21, 14, 7, 0))
    sound = encode(tmp_path / "x.mp3", noise(1, 20000)).read_bytes()
    path = tmp_path / "music.mp3"
    path.write_bytes(b"ID3\x03\0\0" + size + entry + sound)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    assert not media.probe(path).has_video
    assert media.read_audio(path).length == 20000
    with pytest.raises(UserError, match="no pictures"):
        media.remux(path, path, tmp_path / "out.mp4")


def test_a_tag_that_is_no_utf_8_is_read_past(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.flac", noise(1, 5000), options=None)
    with av.open(str(tmp_path / "t.flac"), "w") as out:
        out.metadata["title"] = "Zoe-Mueller"
        stream: Any = out.add_stream("flac", rate=RATE_HZ, layout="mono")
        out.mux(stream.encode(sound_frame(noise(1, 5000), "s16")) + stream.encode(None))
    data = (tmp_path / "t.flac").read_bytes()
    path.write_bytes(data.replace(b"Zoe-M", b"Zo\xeb-M"))
    assert media.read_audio(path).length == 5000


def test_a_wav_of_unknown_length_as_pipes_write_it_is_read_to_its_end(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.wav", noise(1, 5000))
    data = bytearray(path.read_bytes())
    data[4:8] = b"\xff\xff\xff\xff"
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert media.read_audio(path).length == 5000


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "mp4", "mkv", "aac", "ts"])
def test_bytes_after_the_end_do_no_harm(tmp_path: Path, suffix: str) -> None:
    path = encode(tmp_path / f"x.{suffix}", at_rate(noise(1, 30000), 48000))
    clean = media.read_audio(path).samples
    path.write_bytes(path.read_bytes() + 40 * b"some other program's notes ")
    read = media.read_audio(path).samples
    np.testing.assert_array_equal(read[:, : clean.shape[1]], clean)
    assert read.shape[1] < clean.shape[1] + 1152  # ffmpeg may take text for one frame of MP3


def test_a_pause_in_a_recording_becomes_silence_and_a_note(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.mkv", noise(1, 40960), pause_seconds=0.5)
    with media.open_audio(path) as reader:
        samples = np.concatenate([block.samples for block in reader.blocks(1000)], axis=1)
    assert 40960 + 22000 < samples.shape[1] < 40960 + 22050 + 2048
    quiet = samples[:, 20480 + 2048 : 20480 + 22050 - 2048]
    assert np.abs(quiet).max() == 0
    (note,) = reader.notes
    assert note.startswith("the recording pauses for 0.5")


# Bad files


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


def spoil(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = np.random.default_rng(3).bytes(300)
    path.write_bytes(data)
    return path


def spoil_end(path: Path) -> Path:
    """Overwrite the last frame of sound in an MP4."""
    data = bytearray(path.read_bytes())
    end = data.index(b"moov") - 4
    data[end - 100 : end] = b"\xff" * 100
    path.write_bytes(data)
    return path


def nothing(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def text(path: Path) -> Path:
    path.write_text("This is not a video.\n" * 50, encoding="utf-8")
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def no_samples(path: Path) -> Path:
    soundfile.write(path, np.zeros((0, 2), np.float32), RATE_HZ)
    return path


def two_rates(path: Path) -> Path:
    first = encode(path.with_name("a.aac"), noise(1, 20480)).read_bytes()
    second = encode(path.with_name("b.aac"), at_rate(noise(1, 20480), 22050)).read_bytes()
    path.write_bytes(first + second)
    return path


FRONT = {"movflags": "faststart"}
LONG = noise(2, 100_000)
AT_48 = at_rate(LONG, 48000)
BAD_FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("x.mp4", lambda path: path, "does not exist"),
    "a folder": ("x.mp4", folder, "is a folder"),
    "empty": ("x.mp4", nothing, "is empty (0 bytes)"),
    "a text": ("x.mp4", text, "is not a video or audio file"),
    "a silent film": ("x.mp4", lambda p: encode(p, None, pictures=5), "is a video without sound"),
    "no samples": ("x.wav", no_samples, "zero length (0 samples)"),
    "MP4 without index": ("x.mp4", lambda p: cut(encode(p, LONG), 0.6), "its index is missing"),
    "cut MP4": ("x.mp4", lambda p: cut(encode(p, LONG, options=FRONT), 0.6), "is cut off: its"),
    "cut WAV": ("x.wav", lambda p: cut(encode(p, LONG), 0.6), "cut off: its sound can be read up"),
    "cut FLAC": ("x.flac", lambda p: cut(encode(p, LONG), 0.6), "can be read up to 1.2"),
    "cut MP3": ("x.mp3", lambda p: cut(encode(p, LONG), 0.6), "cut off: its sound can be read up"),
    "cut Ogg": ("x.ogg", lambda p: cut(encode(p, AT_48), 0.6), "cut off: its sound can be read up"),
    "cut MKV": ("x.mkv", lambda p: cut(encode(p, LONG), 0.6), "cut off: its sound can be read up"),
    "cut film": ("x.mkv", lambda p: cut(encode(p, LONG, pictures=56), 0.6), "is cut off"),
    "spoilt AAC": ("x.mp4", lambda p: spoil(encode(p, LONG)), "damaged: its sound can be read up"),
    "spoilt at the end": ("x.mp4", lambda p: spoil_end(encode(p, LONG)), "is damaged"),
    "spoilt FLAC": ("x.flac", lambda p: spoil(encode(p, LONG)), "damaged: its sound can be read"),
    "spoilt MP3": ("x.mp3", lambda p: spoil(encode(p, LONG)), "damaged: its sound can be read up"),
    "spoilt WebM": ("x.webm", lambda p: spoil(encode(p, AT_48)), "can be read up to"),
    "two rates": ("x.aac", two_rates, "from 1 channels at 44100 Hz to 1 at 22050 Hz"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_gives_one_line_that_names_it_and_says_why(tmp_path: Path, case: str) -> None:
    name, make, reason = BAD_FILES[case]
    path = tmp_path / name
    make(path)
    message = error_of(lambda: media.read_audio(path))
    assert str(path) in message
    assert reason in message


def test_a_cut_file_gives_the_blocks_before_the_cut(tmp_path: Path) -> None:
    path = cut(encode(tmp_path / "x.wav", LONG), 0.5)
    taken = 0
    with media.open_audio(path) as reader, pytest.raises(UserError, match=r"up to 1\.13"):
        for block in reader.blocks(1000):
            taken += block.length
    assert 49000 <= taken <= 50000


def test_nan_and_infinite_samples_are_counted_and_the_first_is_placed(tmp_path: Path) -> None:
    samples = noise(2, 3 * 44100).samples.T.copy()
    samples[22050:22053, 1] = np.nan
    samples[100_000, 0] = np.inf
    soundfile.write(tmp_path / "x.wav", samples, RATE_HZ, subtype="FLOAT")
    message = error_of(lambda: media.read_audio(tmp_path / "x.wav"))
    assert "4 samples that are NaN or infinite, the first at 0.500 s" in message


def test_a_double_beyond_float32_counts_as_infinite(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", np.array([0.0, 1e300]), RATE_HZ, subtype="DOUBLE")
    assert "1 samples that are NaN or infinite" in error_of(
        lambda: media.read_audio(tmp_path / "x.wav")
    )


# Names


NAMES = [
    "two words", "it's \"quoted\"", "100%d%20", "a:b", "http:__x", "pipe:1", "-leading", "文件 été",
    "файл", "*?[x]", "back\\slash", "semi;colon#hash", "new\nline", os.fsdecode(b"latin-\xe9"),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_can_be_written_and_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    audio = noise(2, 4410)
    path = Path(f"{name}.wav")
    media.write_audio(path, audio)
    np.testing.assert_array_equal(media.read_audio(path).samples, audio.samples)
    media.write_video(Path(f"{name}.mp4"), cards(3), 25, audio)
    media.remux(Path(f"{name}.mp4"), path, Path(f"{name}.mkv"))
    assert media.probe(Path(f"{name}.mkv")).has_video
    assert len(list(tmp_path.iterdir())) == 3
    assert "does not exist" in error_of(lambda: media.read_audio(Path(f"{name}.flac")))


def test_a_name_that_is_too_long_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300 + ".wav")
    assert "File name too long" in error_of(lambda: media.read_audio(path))
    assert "File name too long" in error_of(lambda: media.write_audio(path, noise(1, 10)))


# Writing


@settings(max_examples=40, deadline=None)
@given(
    samples=npst.arrays(
        np.float32,
        npst.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    rate_hz=st.integers(8000, 192000),
)
def test_what_is_written_as_float_is_read_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, samples: NDArray[np.float32], rate_hz: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "property.wav"
    media.write_audio(path, Audio(samples, rate_hz))
    read = media.read_audio(path)
    assert read.rate_hz == rate_hz
    np.testing.assert_array_equal(read.samples.view(np.int32), samples.view(np.int32))


def test_libsndfile_reads_what_is_written_and_equal_samples_give_equal_bytes(
    tmp_path: Path,
) -> None:
    audio = noise(6, 5000)
    for name in ("a.wav", "b.wav"):
        media.write_audio(tmp_path / name, audio)
    read, rate_hz = soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)
    assert rate_hz == RATE_HZ
    np.testing.assert_array_equal(read.T, audio.samples)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def on_24_bits(audio: Audio) -> Audio:
    return audio.like(np.rint(audio.samples * 2.0**23) / 2.0**23)


@pytest.mark.parametrize(("name", "subtype"), [("x.flac", "FLOAT"), ("x.wav", "PCM_24")])
def test_samples_on_the_grid_of_24_bits_come_back_bit_for_bit(
    tmp_path: Path, name: str, subtype: str
) -> None:
    audio = on_24_bits(noise(2, 5000))
    audio.samples[0, :3] = (-1.0, 1 - 2.0**-23, 0.0)
    media.write_audio(tmp_path / name, audio, subtype=subtype)
    np.testing.assert_array_equal(media.read_audio(tmp_path / name).samples, audio.samples)
    peer, _ = soundfile.read(tmp_path / name, dtype="float32")
    np.testing.assert_array_equal(peer.T, audio.samples)


def test_integers_refuse_samples_above_full_scale(tmp_path: Path) -> None:
    loud = Audio.of([[0.0, 1.5, -2.0]], RATE_HZ)
    with pytest.raises(ContractError, match="2 samples are above full scale"):
        media.write_audio(tmp_path / "x.flac", loud)
    with pytest.raises(ContractError, match="2 samples are above full scale"):
        media.write_video(tmp_path / "x.mp4", cards(1), 25, loud)
    media.write_audio(tmp_path / "x.wav", loud)
    np.testing.assert_array_equal(media.read_audio(tmp_path / "x.wav").samples, loud.samples)


def test_a_format_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for name, subtype in (("x.mp3", "FLOAT"), ("x.wav", "GSM")):
        with pytest.raises(ContractError, match=r"\.wav or \.flac"):
            media.write_audio(tmp_path / name, noise(1, 10), subtype=subtype)


def test_a_writer_refuses_a_piece_of_another_shape_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"old")
    with (
        pytest.raises(ContractError, match="not 1 at 44100 Hz"),
        media.AudioWriter(path, RATE_HZ, 2) as writer,
    ):
        writer.write(noise(2, 100_000))
        writer.write(noise(1, 100))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_cannot_begin_leaves_nothing_behind(tmp_path: Path) -> None:
    message = error_of(lambda: media.AudioWriter(tmp_path / "x.wav", RATE_HZ, 1000))
    assert "wav holds no sound of 1000 channels" in message
    assert not list(tmp_path.iterdir())


def test_a_file_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    with media.AudioWriter(path, RATE_HZ, 2) as writer:
        writer.write(noise(2, 100_000))
        writer.finish()
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]
    assert media.read_audio(path).length == 100_000


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    media.write_audio(tmp_path / "x.wav", noise(1, 10))
    (tmp_path / "plain").touch()
    assert (tmp_path / "x.wav").stat().st_mode == (tmp_path / "plain").stat().st_mode


# A full disk and places that can't be written


def write_wav(path: Path) -> None:
    with media.AudioWriter(path, RATE_HZ, 2) as writer:
        for _ in range(30):
            writer.write(noise(2, 10_000))


def write_film(path: Path) -> None:
    media.write_video(path, cards(30), 25, noise(2, 60_000))


def write_remuxed(path: Path) -> None:
    source = encode(path.parent / "source.mp4", noise(2, 60_000), pictures=30)
    media.remux(source, source, path)
    source.unlink()


WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a long WAV": ("x.wav", write_wav),
    "a short WAV": ("x.wav", lambda path: media.write_audio(path, noise(1, 10))),
    "FLAC": ("x.flac", lambda path: media.write_audio(path, noise(2, 60_000))),
    "video": ("x.mp4", write_film),
    "remuxed video": ("x.mkv", write_remuxed),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_one_line_and_leaves_nothing_behind(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The temporary name leads to /dev/full, where the kernel itself refuses with ENOSPC.

    So the whole way is real, ffmpeg's own writing included, and needs no root, as a small file
    system would. RLIMIT_FSIZE would do without root too, but fails with EFBIG.
    """
    temporary = tmp_path / "temporary"
    temporary.symlink_to("/dev/full")
    monkeypatch.setattr(output, "_temporary_name", lambda path: temporary)
    name, write = WRITERS[kind]
    path = tmp_path / name
    path.write_bytes(b"old")
    message = error_of(lambda: write(path))
    assert message == f"cannot write {path}: the disk is full; free some space and run again"
    assert path.read_bytes() == b"old"
    assert {each.name for each in tmp_path.iterdir()} <= {name, "source.mp4"}


def test_a_disk_that_is_found_full_only_when_it_must_keep_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Network disks and quotas say so at fsync; there is no such disk to be had in a test."""

    def full(_: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", full)
    assert "the disk is full" in error_of(lambda: write_wav(tmp_path / "x.wav"))
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_for_what_is_expected_is_refused_at_once(tmp_path: Path) -> None:
    message = error_of(lambda: media.AudioWriter(tmp_path / "x.wav", RATE_HZ, 2, 10**15))
    assert "it needs 8000000.00 GB and the disk has" in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", WRITERS)
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, kind: str) -> None:
    """A parent that is a file, or missing, and /proc, refuse root as well, whom modes don't."""
    name, write = WRITERS[kind]
    (tmp_path / "file").touch()
    (tmp_path / "taken").mkdir()
    places = {
        tmp_path / "file" / name: "is not a folder",
        tmp_path / "missing" / name: "is not a folder",
        Path("/proc") / name: "cannot write",
        tmp_path / "taken": "a folder has that name",
    }
    if kind == "remuxed video":
        source = encode(tmp_path / "source.mp4", noise(1, 5000), pictures=3)
        write = lambda path: media.remux(source, source, path)  # noqa: E731
        places[tmp_path / "taken.mkv"] = places.pop(tmp_path / "taken")
        (tmp_path / "taken").rename(tmp_path / "taken.mkv")
    elif "WAV" in kind or kind == "FLAC":
        places[(tmp_path / "taken").rename(tmp_path / f"taken{Path(name).suffix}")] = places.pop(
            tmp_path / "taken"
        )
    before = set(tmp_path.iterdir())
    for path, reason in places.items():
        message = error_of(lambda path=path: write(path))  # type: ignore[misc]
        assert str(path) in message
        assert reason in message
    assert set(tmp_path.iterdir()) == before


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.wav").symlink_to("/dev/null")
    assert "not a regular file" in error_of(lambda: write_wav(tmp_path / "x.wav"))


# Video


@pytest.mark.parametrize(("channels", "rate_hz"), [(1, 8000), (2, 44100), (6, 48000)])
def test_a_video_keeps_24_bit_sound_bit_for_bit_and_is_the_same_each_time(
    tmp_path: Path, channels: int, rate_hz: int
) -> None:
    audio = on_24_bits(at_rate(noise(channels, rate_hz + 17), rate_hz))
    for name in ("a.mp4", "b.mp4"):
        media.write_video(tmp_path / name, cards(25), 25, audio)
    np.testing.assert_array_equal(media.read_audio(tmp_path / "a.mp4").samples, audio.samples)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data == (tmp_path / "b.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "it can be played while it loads"
    assert b"Lavf" not in data, "the version of ffmpeg is no part of it"


def test_a_videos_pictures_are_those_that_were_drawn(tmp_path: Path) -> None:
    media.write_video(tmp_path / "x.mp4", cards(25), 25, noise(2, 44100), quality_crf=1)
    with av.open(str(tmp_path / "x.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 25
    for frame, card in zip(frames, cards(25), strict=True):
        np.testing.assert_allclose(frame.astype(int), card, atol=4)


def test_a_video_needs_even_pictures_and_at_least_one(tmp_path: Path) -> None:
    for pictures, reason in ((cards(1, 63, 48), "even"), (cards(0), "at least one")):
        with pytest.raises(ContractError, match=reason):
            media.write_video(tmp_path / "x.mp4", pictures, 25, noise(1, 10))
    assert not list(tmp_path.iterdir())


def pictures_of(path: Path) -> list[tuple[bytes, float]]:
    with av.open(str(path)) as container:
        return [
            (bytes(packet), round(float((packet.pts or 0) * packet.time_base), 2))
            for packet in container.demux(container.streams.video[0])
            if packet.size
        ]


def sound_start_of(path: Path) -> float:
    with av.open(str(path)) as container:
        frame = next(container.decode(audio=0))
        return float((frame.pts or 0) * (frame.time_base or 0))


@pytest.mark.parametrize("starts_seconds", [0.0, 0.4])
@pytest.mark.parametrize(
    ("suffix", "rate_hz", "lossless"),
    [
        ("mp4", 44100, False),
        ("mp4", 192000, True),
        ("mp4", 192000, False),
        ("mkv", 44100, False),
        ("webm", 44100, False),
        ("ts", 44100, False),
        ("mov", 44100, True),
        ("avi", 44100, False),
    ],
)
def test_remux_copies_the_pictures_and_keeps_lips_and_words_together(
    tmp_path: Path, suffix: str, rate_hz: int, lossless: bool, starts_seconds: float
) -> None:
    old = at_rate(noise(2, 96000), 48000)
    source = encode(tmp_path / f"s.{suffix}", old, pictures=50, starts_seconds=starts_seconds)
    new = at_rate(noise(1, 2 * rate_hz, seed=5), rate_hz)
    media.write_audio(tmp_path / "new.wav", new)
    out = tmp_path / f"o.{suffix}"
    media.remux(source, tmp_path / "new.wav", out, lossless=lossless)
    assert pictures_of(out) == pictures_of(source)

    read = media.read_audio(out)
    expected = media.resample(new, read.rate_hz).samples[0]
    delay = delay_of(read.samples[0], expected) / read.rate_hz
    assert sound_start_of(out) + delay == pytest.approx(sound_start_of(source), abs=0.0015)
    if lossless:
        np.testing.assert_allclose(read.samples, new.samples, atol=2.0**-24)


def test_remux_refuses_what_it_cannot_do_in_one_line(tmp_path: Path) -> None:
    film = encode(tmp_path / "film.mp4", noise(2, 20000), pictures=10)
    media.write_audio(tmp_path / "many.wav", noise(12, 1000))
    cases = {
        ("film.mp4", "film.mp4", "x.txt"): "its name may end in .avi, .m4v, .mkv",
        ("film.mp4", "film.mp4", "x.webm"): "webm holds no pictures of h264; choose .mkv",
        ("film.mp4", "many.wav", "x.mp4"): "holds no sound of 12 channels",
        ("many.wav", "film.mp4", "x.mp4"): "has no pictures",
        ("film.mp4", "film.mp4", "film.mp4"): "would overwrite its own input",
        ("film.mp4", "none.wav", "x.mp4"): "does not exist",
    }
    before = set(tmp_path.iterdir())
    for (video, audio, out), reason in cases.items():
        names = (tmp_path / video, tmp_path / audio, tmp_path / out)
        assert reason in error_of(lambda names=names: media.remux(*names))  # type: ignore[misc]
    assert "as lossless sound" in error_of(
        lambda: media.remux(film, film, tmp_path / "x.webm", lossless=True)
    )
    assert set(tmp_path.iterdir()) == before
    assert media.probe(film).has_video


# Rates


RATES = st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 192000])


@settings(max_examples=60, deadline=None)
@given(length=st.integers(0, 3000), from_hz=RATES, to_hz=RATES)
def test_a_resampled_length_is_the_exact_one_rounded_half_up(
    length: int, from_hz: int, to_hz: int
) -> None:
    audio = Audio(np.zeros((2, length), np.float32), from_hz)
    expected = math.floor(Fraction(length * to_hz, from_hz) + Fraction(1, 2))
    assert media.resample(audio, to_hz).length == expected


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 4000), max_size=5), from_hz=RATES, to_hz=RATES)
def test_a_stream_resampled_piece_by_piece_equals_the_whole(
    cuts: list[int], from_hz: int, to_hz: int
) -> None:
    audio = at_rate(noise(2, 4000), from_hz)
    edges = [0, *sorted(cuts), 4000]
    pieces = [audio.cut(start, stop) for start, stop in itertools.pairwise(edges)]
    joined = [piece.samples for piece in media.resample_blocks(pieces, to_hz)]
    whole = media.resample(audio, to_hz).samples
    np.testing.assert_array_equal(np.concatenate(joined, axis=1), whole)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44100, 16000), (8000, 44100), (192000, 48000)])
def test_resampling_delays_nothing(from_hz: int, to_hz: int) -> None:
    impulse = np.zeros((1, from_hz), np.float32)
    impulse[0, from_hz // 2] = 1
    moved = media.resample(Audio(impulse, from_hz), to_hz).samples[0]
    assert int(np.argmax(moved)) == to_hz // 2

    def sine(rate_hz: int) -> NDArray[np.float64]:
        return np.sin(2 * np.pi * 997 * np.arange(rate_hz) / rate_hz)

    middle = slice(to_hz // 10, -to_hz // 10)
    moved = media.resample(Audio.of(0.5 * sine(from_hz), from_hz), to_hz).samples[0]
    assert snr_db(0.5 * sine(to_hz)[middle], moved[middle]) > 120


def test_resampling_agrees_with_soxr_at_once() -> None:
    audio = noise(2, 30_001)
    expected = soxr.resample(audio.samples.T, RATE_HZ, 16000, "VHQ").T
    np.testing.assert_array_equal(media.resample(audio, 16000).samples, expected)


# Hashes


def test_a_hash_tells_samples_shapes_and_rates_apart() -> None:
    audio = Audio.of([[0.1, 0.2], [0.3, 0.4]], 8000)
    others = [
        Audio.of([[0.1, 0.2, 0.3, 0.4]], 8000),
        Audio.of([[0.1, 0.2], [0.3, 0.4]], 16000),
        Audio.of([[0.1, 0.2], [0.3, 0.5]], 8000),
    ]
    every = {media.sha256_of_audio(one) for one in (audio, *others)}
    assert len(every) == 4
    strided = Audio(np.asfortranarray(audio.samples), 8000)
    assert media.sha256_of_audio(strided) == media.sha256_of_audio(audio)
