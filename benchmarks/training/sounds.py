"""Training material, decoded once and then read from disk wherever an example needs a piece.

Each file becomes one array at the rate and with the channels that the network hears, in half
precision, which is as good as 11 bits at any level. The arrays lie in the cache and are mapped into
memory, so that a collection may be larger than memory. They are found by the file's path, size and
time of change.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.assets import cache_root
from benchmarks.contract import Audio, Samples
from benchmarks.errors import UserError
from benchmarks.layouts import Stem, read_stem
from benchmarks.ledger import key_of, new_file, write_json
from benchmarks.media import resample

Progress = Callable[[float, float, str], None]
Decoded = NDArray[np.float16]

MOST_OPEN = 128  # sounds that are mapped at once
SPARE_BYTES = 1 << 30  # that must stay free on the disk of the cache
LEVEL_SECONDS = 0.05  # between the levels that are kept of a sound
FLOOR_DBFS = -120


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen of a file while it was decoded.

    Attributes:
        rate_hz: the file's own.
        channels: the file's own.
        seconds: its length.
        peak: the greatest sample, full scale is 1.
        levels_dbfs: RMS of each 50 ms, in whole dB.
    """

    rate_hz: int
    channels: int
    seconds: float
    peak: float
    levels_dbfs: tuple[int, ...]


@dataclass(frozen=True)
class Sounds:
    """All sounds of a collection at one rate; a mono file keeps its one channel.

    Args:
        rate_hz: of the network.
        channels: 1 or 2: what the network hears; files with more than 2 are mixed down to 1.
        folder: where the arrays are kept; in the cache by default.
    """

    rate_hz: int
    channels: int
    folder: Path = field(default_factory=lambda: cache_root() / "training")
    _files: dict[Stem, Path] = field(default_factory=dict, repr=False)
    _lengths: dict[Stem, int] = field(default_factory=dict, repr=False)
    _open: dict[Path, Decoded] = field(default_factory=dict, repr=False)

    def of(self, stem: Stem) -> Decoded:
        """The sound of a stem, shape ``(1 or channels, samples)``, mapped and not read yet.

        Raises:
            UserError: the file is no sound, or the disk is full.
        """
        file = self._decoded(stem)
        decoded = self._open.get(file)
        if decoded is None:
            if len(self._open) >= MOST_OPEN:  # each holds a file open, and systems allow few
                self._open.clear()
            decoded = self._open[file] = cast(Decoded, np.load(file, mmap_mode="r"))
        return decoded

    def length(self, stem: Stem) -> int:
        """In samples."""
        if stem not in self._lengths:
            self._lengths[stem] = int(self.of(stem).shape[1])
        return self._lengths[stem]

    def facts(self, stem: Stem) -> Facts:
        """What was seen of a stem when it was decoded."""
        said = json.loads(self._decoded(stem).with_suffix(".json").read_text(encoding="utf-8"))
        return Facts(**said | {"levels_dbfs": tuple(said["levels_dbfs"])})

    def cut(self, stem: Stem, start: int, length: int) -> Samples:
        """Samples from ``start``, with as many channels as the network hears, silent past the end.

        Channels that the file does not have are copies of its one.
        """
        piece = np.asarray(self.of(stem)[:, start : start + length], dtype=np.float32)
        whole = np.pad(piece, ((0, 0), (0, length - piece.shape[1])))
        return np.broadcast_to(whole, (self.channels, length)) if len(whole) == 1 else whole

    def decode(self, stems: Iterable[Stem], progress: Progress) -> None:
        """Decode all that is not decoded yet; what was finished by an earlier call is kept."""
        stems = list(dict.fromkeys(stems))
        for done, stem in enumerate(stems):
            progress(done, len(stems), stem.path.name)
            self._decoded(stem)
        progress(len(stems), len(stems), "")

    def _decoded(self, stem: Stem) -> Path:
        """The file of a decoded stem, which is decoded now where it was not before."""
        if stem not in self._files:
            file = self._file(stem)
            if not file.exists():
                self._decode(stem, file)
            self._files[stem] = file
        return self._files[stem]

    def _file(self, stem: Stem) -> Path:
        try:
            seen = stem.path.stat()
        except OSError as error:
            raise UserError(f"{stem.path}: {error.strerror}") from error
        key = key_of(
            path=str(stem.path.resolve()),
            stream=stem.stream,
            size_bytes=seen.st_size,
            changed_ns=seen.st_mtime_ns,
            rate_hz=self.rate_hz,
            channels=self.channels,
        )
        return self.folder / key[:2] / f"{key}.npy"

    def _decode(self, stem: Stem, file: Path) -> None:
        audio = read_stem(stem)
        facts = _facts(audio)
        if audio.rate_hz != self.rate_hz:
            audio = resample(audio, self.rate_hz)
        samples = _fitting(audio, self.channels).astype(np.float16)
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free < samples.nbytes + SPARE_BYTES:
            raise UserError(
                f"the decoded training material needs more room than is free at {self.folder}: "
                "free some, or set SEPBENCH_CACHE to a folder on another disk"
            )
        write_json(file.with_suffix(".json"), asdict(facts))
        with new_file(file) as out:  # last: where it is, all is
            np.save(out, samples)


def _facts(audio: Audio) -> Facts:
    hop = round(LEVEL_SECONDS * audio.rate_hz)
    square = np.square(audio.samples).mean(axis=0)
    square = np.pad(square, (0, -len(square) % hop)).reshape(-1, hop).mean(axis=1)
    levels = 10 * np.log10(square + 10 ** (FLOOR_DBFS / 10))
    return Facts(
        audio.rate_hz,
        audio.channels,
        audio.seconds,
        float(np.abs(audio.samples).max(initial=0.0)),
        tuple(int(level) for level in np.round(levels)),
    )


def _fitting(audio: Audio, channels: int) -> Samples:
    if audio.channels in (1, channels):
        return audio.samples
    return audio.mono()[None]
