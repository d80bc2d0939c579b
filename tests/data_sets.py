"""Tiny trees as data sets really lie on disk, of noise that is another for every name."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import soundfile
import yaml
from numpy.typing import NDArray

from benchmarks.contract import Audio
from benchmarks.layouts import MUSDB_STEMS
from benchmarks.media.output import Output
from benchmarks.media.writing import sound_packets

RATE_HZ = 44100
SECONDS = 0.5


def noise(name: str, *, seconds: float = SECONDS, channels: int = 2) -> NDArray[np.float32]:
    """Noise that is another for every name, on the grid of 16 bits."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    steps = random.integers(-3000, 3000, (channels, int(seconds * RATE_HZ)))
    return (steps / 2**15).astype(np.float32)


def write_wav(file: Path, samples: NDArray[np.float32], rate_hz: int = RATE_HZ) -> Path:
    """A WAV of 16 bits, as data sets have them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, samples.T, rate_hz, subtype="PCM_16")
    return file


def write_stem_mp4(file: Path, sounds: list[NDArray[np.float32]], codec: str = "alac") -> Path:
    """An MP4 of several sounds, one stream each."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with Output(file, "mp4", {}) as output:
        streams = [output.add_sound(codec, RATE_HZ, 2) for _ in sounds]
        output.mux(
            *(
                sound_packets(stream, [Audio(samples, RATE_HZ)])
                for stream, samples in zip(streams, sounds, strict=True)
            )
        )
    return file


def write_musdb18(folder: Path, tracks: tuple[str, ...]) -> None:
    for track in tracks:
        stems = [noise(f"{track} {name}") for name in MUSDB_STEMS]
        write_stem_mp4(folder / f"{track}.stem.mp4", [sum(stems, np.zeros_like(stems[0])), *stems])


def write_stems(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write_wav(folder / f"{name}.wav", noise(f"{folder.name} {name}"))


def write_musdb18_hq(folder: Path, tracks: tuple[str, ...]) -> None:
    for track in tracks:
        write_stems(folder / track, MUSDB_STEMS)
        stems = [noise(f"{track} {name}") for name in MUSDB_STEMS]
        write_wav(folder / track / "mixture.wav", sum(stems, np.zeros_like(stems[0])))


def write_medleydb_track(
    folder: Path, instruments: tuple[str | list[str], ...], *, metadata: Path | None = None
) -> None:
    """A track as MedleyDB 1.0 has it; its mix is not just the sum of its stems."""
    name = folder.name
    files = [f"{name}_STEM_{i:02}.wav" for i in range(1, len(instruments) + 1)]
    for file in files:
        write_wav(folder / f"{name}_STEMS" / file, noise(file))
    write_wav(folder / f"{name}_MIX.wav", sum((0.5 * noise(f) for f in files), noise(files[0])))
    write_wav(folder / f"{name}_RAW" / f"{name}_RAW_01_01.wav", noise("raw"))
    said = {
        "artist": "Nobody",
        "has_bleed": "no",
        "mix_filename": f"{name}_MIX.wav",
        "raw_dir": f"{name}_RAW",
        "stem_dir": f"{name}_STEMS",
        "stems": {
            f"S{i:02}": {"component": "", "filename": file, "instrument": instrument}
            for i, (file, instrument) in enumerate(zip(files, instruments, strict=True), 1)
        },
    }
    place = (metadata or folder) / f"{name}_METADATA.yaml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(yaml.safe_dump(said), encoding="utf-8")
