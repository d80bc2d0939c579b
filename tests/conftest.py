"""What several tests share: small clips with known stems, and the built default suite."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from filelock import FileLock

from benchmarks.suite import Suite, build, load_suite

# Tests run side by side: more threads than cores spin, and take many times as long.
for limit in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(limit, "1")

ROOT = Path(__file__).parent.parent
RATE_HZ = 16000


def write_clip(folder: Path, seed: int, *, seconds: float = 1.0, words: str = "") -> Path:
    """A clip of two channels whose stems, a gliding tone and noise, sum to it."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    tone = 0.3 * np.sin(2 * np.pi * (200 + 40 * seed + 100 * time) * time)
    speech = np.stack([tone, 0.8 * tone]).astype(np.float32)
    background = (0.1 * random.standard_normal(speech.shape)).astype(np.float32)
    folder.mkdir(parents=True)
    for name, samples in (
        ("speech", speech),
        ("background", background),
        ("clip", speech + background),
    ):
        soundfile.write(folder / f"{name}.wav", samples.T, RATE_HZ, subtype="FLOAT")
    if words:
        (folder / "transcript.txt").write_text(words, encoding="utf-8")
    return folder


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    """A folder of three clips of a second each, in two scenarios."""
    folder = tmp_path / "tiny"
    write_clip(folder / "simple" / "one", 1)
    write_clip(folder / "simple" / "two", 2)
    write_clip(folder / "crowd" / "three", 3)
    return folder


@pytest.fixture
def tiny_suite(tiny_folder: Path) -> Suite:
    """The suite of that folder."""
    return load_suite(str(tiny_folder), tiny_folder)


@pytest.fixture(scope="session")
def everyday_suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """The default suite, built where `make bench` builds it, by one test process for all."""
    data = ROOT / "data" / "raw"
    with FileLock(tmp_path_factory.getbasetemp().parent / "everyday.lock"):
        build("everyday", data, workers=os.cpu_count() or 1)
    return load_suite("everyday", data)
