"""Methods over packages that the project does not bring: demucs, mossformer2 and rnnoise.

They are tested with stand-ins of the same interface (see ``tests/stand_ins``), which separate by
frequency, so that what must come out is known. Where a package itself is installed, the laws of
``test_every_method`` go over it too.
"""

from __future__ import annotations

import functools
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from benchmarks import registry, separation
from benchmarks.contract import Audio, Clip, Estimate, Method, Unavailable
from benchmarks.options import parse_options
from methods.demucs import demucs
from methods.mossformer2 import mossformer2
from methods.rnnoise import rnnoise
from tests import test_every_method as laws

ROOT = Path(__file__).parent.parent
STAND_INS = Path(__file__).with_name("stand_ins")
VERSIONS = {"clearvoice": "0.1.2", "demucs": "4.1.0", "pyrnnoise": "0.4.5"}
METHODS = [demucs, mossformer2, rnnoise]
Sound = NDArray[np.float32]

every_layer = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path where the packages seem installed; their weights go below tmp_path."""
    folder = tmp_path / "packages"
    shutil.copytree(STAND_INS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, version in VERSIONS.items():
        described = folder / f"{name}-{version}.dist-info"
        described.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (described / "METADATA").write_text(text, encoding="utf-8")
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(folder)
    real = forget_imports()
    for law_cache in (laws.loaded, laws.estimate_of):
        law_cache.cache_clear()
    yield folder
    forget_imports()
    sys.modules.update(real)
    for law_cache in (laws.loaded, laws.estimate_of):
        law_cache.cache_clear()


def forget_imports() -> dict[str, Any]:
    """Take the packages out of what is imported, and give them back."""
    names = [name for name in sys.modules if name.split(".")[0] in VERSIONS]
    importlib.invalidate_caches()
    return {name: sys.modules.pop(name) for name in names}


def loaded(method: Method, **options: str) -> separation.Loaded:
    return separation.load(method, parse_options(method, options))


def tones(
    frequencies_hz: tuple[float, ...],
    rate_hz: int = 48000,
    *,
    channels: int = 1,
    seconds: float = 3,
) -> Sound:
    """Tones of 0.1 that fade in and out, each channel softer than the one before."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    fade = np.sin(np.pi * time / time[-1]) ** 2
    both = fade * sum(0.1 * np.sin(2 * np.pi * hertz * time) for hertz in frequencies_hz)
    return np.asarray([both * 0.8**channel for channel in range(channels)], dtype=np.float32)


def separated(method: Method, samples: Sound, rate_hz: int = 48000, **options: str) -> Estimate:
    clip = Clip("clip", "simple", Audio.of(samples, rate_hz))
    found = separation.separate(loaded(method, **options), clip)
    assert found.problem(clip.mixture) is None
    return found


def agreement_db(reference: Sound, estimate: Sound) -> float:
    error = np.sum((reference.astype(np.float64) - estimate) ** 2)
    return float(10 * np.log10(np.sum(reference.astype(np.float64) ** 2) / max(error, 1e-30)))


LAWS: list[Callable[[Method], None]] = [
    laws.test_the_tracks_have_the_mixtures_shape_rate_and_type,
    laws.test_the_same_clip_gives_the_same_tracks,
    laws.test_the_input_is_left_untouched,
    *(
        functools.partial(laws.test_every_rate_comes_back_as_it_went_in, rate_hz=rate_hz)
        for rate_hz in (8000, 48000, 192000)
    ),
    *(
        functools.partial(laws.test_mono_and_surround_keep_their_channels, channels=channels)
        for channels in (1, 6)
    ),
    *(
        functools.partial(laws.test_the_shortest_recordings_are_separated_too, seconds=seconds)
        for seconds in (0.0, 0.001, 0.05)
    ),
    laws.test_silence_gives_silence,
    laws.test_a_method_says_what_it_is,
    laws.test_the_output_is_not_the_input_nor_silence,
    laws.test_the_tracks_are_neither_delayed_nor_inverted,
]


@every_layer
def test_the_laws_of_every_method_hold(method: Method, installed: Path) -> None:
    for law in LAWS:
        law(method)


@every_layer
@pytest.mark.parametrize(("rate_hz", "channels"), [(48000, 1), (44100, 2), (16000, 2), (48000, 6)])
def test_what_the_package_calls_speech_are_the_vocals(
    method: Method, rate_hz: int, channels: int, installed: Path
) -> None:
    """The stand-ins keep 200 Hz to 4 kHz: in place, upright, at the same level, each channel."""
    voice = tones((300.0, 2000.0), rate_hz, channels=channels)
    rest = tones((90.0, 6000.0), rate_hz, channels=channels)
    found = separated(method, voice + rest, rate_hz)
    least_db = 35 if method is mossformer2 else 45  # its stand-in dithers by up to 1 percent
    assert agreement_db(voice, found.vocals.samples) > least_db
    assert agreement_db(rest, found.background.samples) > least_db


def test_demucs_sums_up_all_stems_but_the_vocals(installed: Path) -> None:
    mixture = tones((90.0, 1000.0, 6000.0), 44100, channels=2)
    found = separated(demucs, mixture, 44100)
    assert agreement_db(mixture, found.vocals.samples + found.background.samples) > 100


def test_demucs_is_given_its_options_and_no_random_shifts(installed: Path) -> None:
    model = loaded(demucs, model="mdx_extra", overlap="0.5").model
    assert model.given == {"model": "mdx_extra", "shifts": 0, "overlap": 0.5}


def test_the_dither_of_mossformer2_depends_on_the_seed_alone(installed: Path) -> None:
    import torch

    mixture = tones((300.0, 6000.0))
    torch.manual_seed(1)
    first = separated(mossformer2, mixture).vocals.samples
    state = torch.random.get_rng_state()
    again = separated(mossformer2, mixture).vocals.samples
    assert torch.equal(state, torch.random.get_rng_state()), "the generator of others was touched"
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, separated(mossformer2, mixture, seed="1").vocals.samples)


def test_mossformer2_keeps_its_weights_in_the_cache(
    installed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    here = Path.cwd()
    loaded(mossformer2)
    assert Path.cwd() == here
    assert list((tmp_path / "cache").rglob("last_best_checkpoint"))
    assert capfd.readouterr().out == "", "what the package prints is no output of ours"


@pytest.mark.parametrize("method", [demucs, mossformer2], ids=lambda method: method.name)
def test_weights_that_can_t_be_had_make_a_method_unavailable(
    method: Method, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_OFFLINE", "1")
    with pytest.raises(Unavailable, match="weights of") as raised:
        loaded(method)
    assert "\n" not in str(raised.value)


def test_rnnoise_takes_sound_above_full_scale(installed: Path) -> None:
    """The package works in 16 bits, which end there."""
    loud = 30 * tones((300.0, 6000.0))
    assert agreement_db(30 * tones((300.0,)), separated(rnnoise, loud).vocals.samples) > 45


@every_layer
def test_without_its_package_a_method_is_unavailable_and_says_the_command(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_is_installed", lambda name: False)
    (package,) = method.packages
    expected = f"needs {package}; run: pip install {package}"
    assert registry.missing_package(method) == expected
    assert method.opt_in, "a run by default must not end with a method undone"


@every_layer
def test_with_its_package_a_method_is_ready(method: Method, installed: Path) -> None:
    assert registry.missing_package(method) is None


def run_sepbench(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


@pytest.mark.slow
def test_by_hand_a_file_is_separated(installed: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "talk.wav", tmp_path / "out"
    soundfile.write(source, tones((300.0, 6000.0), 44100, channels=2).T, 44100)
    done = run_sepbench("separate", source, "-m", "demucs", "-o", out, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    assert len(list(out.rglob("*.wav"))) == 2


@pytest.mark.slow
@pytest.mark.skipif(registry.missing_package(mossformer2) is None, reason="clearvoice is installed")
def test_by_hand_a_missing_package_is_one_line(tmp_path: Path) -> None:
    source = tmp_path / "talk.wav"
    soundfile.write(source, tones((300.0,)).T, 48000)
    done = run_sepbench("separate", source, "-m", "mossformer2", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "pip install clearvoice" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
