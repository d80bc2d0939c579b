"""The models that are part of this project: whole, as their cards say, and of use."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks import assets, registry, separation
from benchmarks.contract import Audio, Clip
from benchmarks.media import read_audio, resample
from benchmarks.options import parse_options
from methods.cnn_ibm import SHIPPED
from methods.open_unmix import MODELS
from metrics.si_sdr import si_sdr

ROOT = Path(__file__).parent.parent
MODEL_FILES = sorted((ROOT / "methods" / "models").glob("*/*.safetensors"))
MOST_BYTES = 20_000_000  # of all weights that are committed


def test_they_are_small_enough_to_be_committed() -> None:
    assert len(MODEL_FILES) == 3
    assert sum(file.stat().st_size for file in MODEL_FILES) <= MOST_BYTES


@pytest.mark.parametrize("file", MODEL_FILES, ids=lambda file: file.parent.name)
def test_each_has_its_card_its_curves_and_its_entry_in_the_catalogue(file: Path) -> None:
    content = file.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    card = file.with_suffix(".md").read_text(encoding="utf-8")
    assert sha256 in card
    assert "| licence | MIT |" in card
    assert (file.parent / "curves.png").is_file()
    assert (file.parent / "curves.csv").is_file()
    (entry,) = assets.catalogue()[file.parent.name].files
    assert (entry.sha256, entry.size_bytes) == (sha256, len(content))
    assert entry.shipped == file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("file", MODEL_FILES, ids=lambda file: file.parent.name)
def test_the_framing_that_the_method_knows_is_that_of_the_training(file: Path) -> None:
    said = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    method, model = file.parent.name.rsplit("-", 1)
    known = (SHIPPED if method == "cnn-ibm" else MODELS)[model]
    assert (known.rate_hz, known.window, known.hop) == (
        said["sample_rate"], said["nfft"], said["nhop"],
    )  # fmt: skip


@pytest.mark.parametrize("name", ["open-unmix", "cnn-ibm"])
@pytest.mark.parametrize("snr_db", [0, 5])
def test_a_voice_over_a_song_that_neither_was_trained_on_gets_clearer(
    name: str, snr_db: float
) -> None:
    voice = resample(read_audio(assets.path("recording-two-cities") / "two_cities.wav"), 44100)
    song = read_audio(assets.path("music-arcade") / "1918.mp3")
    speech = np.repeat(voice.samples[:1, 44100:353_000], 2, axis=0)
    music = song.samples[:, 2_000_000 : 2_000_000 + speech.shape[1]]
    music = (
        music * math.sqrt(np.square(speech).sum() / np.square(music).sum()) / 10 ** (snr_db / 20)
    )
    clip = Clip("a", "music", Audio(speech + music, 44100))
    method = registry.methods()[name]
    loaded = separation.load(method, parse_options(method, {}))
    reference, mixture = Audio(speech, 44100), clip.mixture
    before = si_sdr.function(reference, mixture)
    after = si_sdr.function(reference, separation.separate(loaded, clip).vocals)
    assert after - before > 0.2, f"{before:.1f} dB before, {after:.1f} dB after"


def test_training_can_go_on_from_the_shipped_weights() -> None:
    from safetensors.torch import load_file

    trainer = registry.trainers()["cnn-ibm"]
    folders = {asset: assets.path(asset) for asset in trainer.assets}
    network = trainer.learner(folders, parse_options(trainer, {})).network
    (folder,) = folders.values()
    for name, weight in load_file(folder / "speech.safetensors").items():
        assert np.array_equal(network.state_dict()[name].numpy(), weight.float().numpy()), name
