"""Open-Unmix against the released package, the filter's algebra, and models from files.

The published weights are not needed: whatever the weights are, both must do the same with them.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import assets, separation
from benchmarks.assets import AssetError
from benchmarks.contract import Audio, Clip, Method, Unavailable
from benchmarks.options import parse_options
from benchmarks.perf.open_unmix import (
    CASES,
    agreement_db,
    our_tracks,
    peer_separator,
    peer_tracks,
    random_weights,
    sound,
)
from methods.open_unmix import (
    MODELS,
    RATE_HZ,
    STILL_FRAMES,
    Separator,
    blocks,
    choose_assets,
    load,
    open_unmix,
)
from tests import test_every_method as laws
from tests.test_hub_methods import LAWS

ROOT = Path(__file__).parent.parent
TARGETS = ("bass", "drums", "other", "vocals")
PEER_DB = 80  # rounding to single precision leaves 115 to 140 dB
SIZES = {"hidden": 16, "heard": 300}
SONGS = {"sample_rate": 44100, "nfft": 4096, "nhop": 1024}
SPEECH = {"sample_rate": 16000, "nfft": 1024, "nhop": 512}


def save(file: Path, weights: dict[str, Any]) -> None:
    import torch
    from safetensors.torch import save_file

    (save_file if file.suffix == ".safetensors" else torch.save)(weights, file)


def write_model(folder: Path, suffix: str = ".pth", **framing: int) -> Path:
    """Four small targets and their framing, in the layout of the original."""
    folder.mkdir()
    for seed, target in enumerate(TARGETS):
        save(folder / f"{target}{suffix}", random_weights(seed, **SIZES))
    (folder / "separator.json").write_text(json.dumps(framing or SONGS), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Separator:
    return loaded(write_model(tmp_path_factory.mktemp("small") / "model"))


def loaded(model: Path, targets: str = "all") -> Separator:
    return load({}, model=str(model), targets=targets)


# The released package, from samples to samples.


@pytest.mark.parametrize("case", [*CASES.values(), (4, 2, True, True)], ids=str)
def test_the_released_package_is_met_on_the_whole_way(
    case: tuple[int, int, bool, bool],
) -> None:
    networks, niter, softmask, residual = case
    options = {"niter": niter, "softmask": softmask, "residual": residual}
    weights = {TARGETS[-1 - n]: random_weights(n, hidden=64) for n in range(networks)}
    mixture = sound(9.0)
    theirs = peer_tracks(peer_separator(weights, **options), mixture)
    ours = our_tracks(separator_of(weights), mixture, **options)
    for name, true, found in zip(("vocals", "background"), theirs, ours, strict=True):
        assert agreement_db(true, found) > PEER_DB, name


def test_the_released_package_is_met_with_a_network_of_the_published_size() -> None:
    weights = {"vocals": random_weights(0)}
    options = {"niter": 1, "softmask": False, "residual": True}
    mixture = sound(3.0)
    theirs = peer_tracks(peer_separator(weights, **options), mixture)
    assert agreement_db(theirs, our_tracks(separator_of(weights), mixture, **options)) > PEER_DB


def test_the_released_package_is_met_in_mono_at_16_khz() -> None:
    """As umxse: one channel, half-overlapping frames, all bins heard."""
    from methods.open_unmix import _separated

    size = {"hidden": 32, "channels": 1, "bins": 513, "heard": 513}
    weights = {"speech": random_weights(0, **size), "noise": random_weights(1, **size)}
    framing = {"sample_rate": 16000.0, "n_fft": 1024, "n_hop": 512, "nb_channels": 1}
    mixture = sound(4.0, channels=1)
    theirs = peer_tracks(peer_separator(weights, niter=1, **framing), mixture)
    ours = Separator(separator_of(weights).networks, MODELS["umxse"])
    assert agreement_db(theirs, _separated(mixture, ours, 1, False, False)) > PEER_DB


def separator_of(weights: dict[str, dict[str, Any]]) -> Separator:
    from methods._open_unmix_network import OpenUnmix

    return Separator(tuple(map(OpenUnmix.of, weights.values())), MODELS["umxhq"])


# The Wiener filter.


def spectra(*shape: int, seed: int = 0) -> Any:
    import torch

    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.complex64, generator=generator)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rounds", [1, 3])
def test_the_sources_of_the_filter_sum_to_the_mixture(channels: int, rounds: int) -> None:
    from methods._wiener import refined

    estimates = spectra(3, channels, 40, 70)
    mixture = spectra(channels, 40, 70, seed=1)
    total = refined(estimates, mixture, rounds).sum(0)
    assert agreement_db(mixture.numpy().view(np.float32), total.numpy().view(np.float32)) > 80


@pytest.mark.parametrize("channels", [1, 2])
def test_a_round_is_the_filter_of_the_textbook(channels: int) -> None:
    """``v_j R_j (sum v R + noise)^-1 x`` in each cell, with the matrices written out."""
    from methods._wiener import EPSILON, NOISE, refined

    y, x = spectra(3, channels, 25, 5), spectra(channels, 25, 5, seed=1)
    power = (y.abs() ** 2).mean(1).double().numpy()
    each = y.numpy().astype(np.complex128)
    place = np.einsum("jctf,jdtf->jfcd", each, each.conj())
    place /= (power.sum(1) + EPSILON)[..., None, None]
    model = np.einsum("jtf,jfcd->jtfcd", power, place)
    cells = x.numpy().transpose(1, 2, 0)[..., None]
    solved = np.linalg.solve(model.sum(0) + NOISE * np.eye(channels), cells)
    expected = (model @ solved)[..., 0].transpose(0, 3, 1, 2)
    np.testing.assert_allclose(refined(y, x, 1).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_the_filter_bears_channels_that_are_alike_and_sounds_of_any_level() -> None:
    from methods._wiener import refined

    y = spectra(2, 1, 30, 20).expand(2, 2, 30, 20)
    x = y.sum(0)
    for level in (1e-6, 1.0, 1e6):
        found = refined(y * level, x * level, 2)
        assert bool(found.isfinite().all())
        assert float(found.abs().max()) < 4 * level * float(x.abs().max())


def test_no_rounds_leave_the_estimates_as_they_are() -> None:
    from methods._wiener import refined

    y = spectra(2, 2, 3, 4)
    assert refined(y, y.sum(0), 0) is y


# Blocks.


def test_blocks_start_where_the_filter_s_stretches_do(folder: Path) -> None:
    found = blocks(RATE_HZ, model=str(folder))
    assert found.core % (STILL_FRAMES * 1024) == 0
    assert found.context % (STILL_FRAMES * 1024) == 0


@pytest.mark.parametrize(("rate_hz", "hop"), [(16000, 512), (22050, 512), (48000, 1024)])
def test_blocks_of_a_model_of_another_rate_hold_whole_stretches(
    tmp_path: Path, rate_hz: int, hop: int
) -> None:
    model = write_model(tmp_path / "m", sample_rate=rate_hz, nfft=4 * hop, nhop=hop)
    for samples in dataclasses.astuple(blocks(RATE_HZ, model=str(model))):
        assert samples > 0
        assert (samples * rate_hz) % (STILL_FRAMES * hop * RATE_HZ) == 0


def test_blocks_agree_with_the_whole(folder: Path) -> None:
    """Of a small random network: it forgets in less than the context."""
    given = {"model": str(folder), "targets": "vocals"}
    one = separation.load(open_unmix, parse_options(open_unmix, given))
    mixture = sound(80.0)
    found = separation.separate(one, Clip("c", "music", Audio.of(mixture, RATE_HZ)))
    whole = our_tracks(one.model, mixture)
    for true, track in zip(whole, (found.vocals, found.background), strict=True):
        assert agreement_db(true, track.samples) > 60


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell the peak")
def test_a_long_recording_takes_less_than_one_and_a_half_gigabytes() -> None:
    """Four blocks hold as much at a time as the ninety of an hour."""
    found = json.loads(
        subprocess.run(
            [sys.executable, "-m", "benchmarks.perf.open_unmix", "--process", "long"],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout
    )
    assert found["mebibytes"] * (1 << 20) < 1.5e9
    assert found["db"] > PEER_DB


# The laws of every method, with a model of our own as the default.


@pytest.fixture
def with_default(folder: Path) -> Iterator[Method]:
    parameters = tuple(
        dataclasses.replace(one, default=str(folder)) if one.name == "model" else one
        for one in open_unmix.parameters
    )
    for cache in (laws.loaded, laws.estimate_of):
        cache.cache_clear()
    yield dataclasses.replace(open_unmix, parameters=parameters)
    for cache in (laws.loaded, laws.estimate_of):
        cache.cache_clear()


def test_the_laws_of_every_method_hold(with_default: Method) -> None:
    for law in LAWS:
        law(with_default)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_model_of_one_channel_and_a_lower_rate_hears_each_channel_by_itself(
    tmp_path: Path, channels: int
) -> None:
    (tmp_path / "m").mkdir()
    for seed, target in enumerate(("speech", "noise")):
        size = {"hidden": 16, "channels": 1, "bins": 513, "heard": 513}
        save(tmp_path / "m" / f"{target}.pth", random_weights(seed, **size))
    (tmp_path / "m" / "separator.json").write_text(json.dumps(SPEECH), encoding="utf-8")
    model = loaded(tmp_path / "m")
    mixture = sound(1.0, channels=channels)
    together = our_tracks(model, mixture)
    assert together.shape == (2, channels, mixture.shape[1])
    for channel in range(channels):
        alone = our_tracks(model, mixture[channel : channel + 1])
        np.testing.assert_array_equal(together[:, channel : channel + 1], alone)


def test_mono_is_heard_as_two_equal_sides(small: Separator) -> None:
    mixture = sound(2.0, channels=1)
    both = our_tracks(small, np.repeat(mixture, 2, axis=0), niter=0)
    mono = our_tracks(small, mixture, niter=0)
    assert agreement_db(both.mean(axis=1, keepdims=True), mono) > 110


def test_softmasks_and_residuals_make_the_tracks_sum_to_the_mixture(small: Separator) -> None:
    mixture = sound(2.0)
    for options in ({"softmask": True}, {"residual": True}):
        total = our_tracks(small, mixture, niter=0, **options).sum(axis=0)
        assert agreement_db(mixture, total) > 100, options


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_what_a_model_of_a_lower_rate_can_not_hear_is_in_the_background(
    tmp_path: Path, channels: int
) -> None:
    """It was once in neither track: of white noise, more than half was lost."""
    file = with_one_file(tmp_path, ".safetensors")
    framing = SPEECH | {"nfft": SONGS["nfft"], "nhop": SONGS["nhop"]}
    file.with_suffix(".json").write_text(json.dumps(framing), encoding="utf-8")
    mixture = sound(1.0, channels=channels)
    vocals, background = our_tracks(loaded(file), mixture, niter=0)
    assert agreement_db(mixture, vocals + background) > 100


# Models from files.


def with_one_file(folder: Path, suffix: str, named: str = "talk") -> Path:
    file = folder / f"{named}{suffix}"
    save(file, random_weights(3, **SIZES))
    file.with_suffix(".json").write_text(json.dumps(SONGS), encoding="utf-8")
    return file


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_one_file_is_the_voice_and_the_rest_is_residual(tmp_path: Path, suffix: str) -> None:
    model = loaded(with_one_file(tmp_path, suffix))
    assert len(model.networks) == 1
    mixture = sound(1.0)
    assert agreement_db(mixture, our_tracks(model, mixture, niter=0).sum(axis=0)) > 100


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_folder_s_voice_comes_first_and_alone_where_that_is_asked(
    tmp_path: Path, suffix: str
) -> None:
    import torch

    model = write_model(tmp_path / "model", suffix)
    voice = random_weights(TARGETS.index("vocals"), **SIZES)["fc1.weight"]
    for targets, count in (("all", 4), ("vocals", 1)):
        networks = loaded(model, targets).networks
        assert len(networks) == count
        assert torch.equal(networks[0].fc1.weight, voice)


def test_a_published_checkpoint_is_read_with_all_that_it_carries(tmp_path: Path) -> None:
    """Old ones hold a window and a rate too, lack a counter, and have their hash in the name."""
    import torch

    weights = random_weights(0, **SIZES)
    old = {name: value for name, value in weights.items() if "num_batches" not in name}
    old |= {"stft.window": torch.ones(4096), "sample_rate": torch.tensor(44100)}
    (tmp_path / "umx").mkdir()
    save(tmp_path / "umx" / "vocals-c8df74a5.pth", old)
    model = load({"open-unmix-umx": tmp_path / "umx"}, model="umx", targets="all")
    for name, value in model.networks[0].state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_weights_of_half_precision_are_read(tmp_path: Path) -> None:
    file = with_one_file(tmp_path, ".safetensors")
    whole = our_tracks(loaded(file), sound(1.0))
    save(file, {name: value.half() for name, value in random_weights(3, **SIZES).items()})
    assert agreement_db(whole, our_tracks(loaded(file), sound(1.0))) > 40


def test_a_model_that_is_not_there_is_one_line_that_names_those_that_are() -> None:
    with pytest.raises(Unavailable, match="no model 'umxq': name speech, guitar, umx, umxhq, umxl"):
        loaded(Path("umxq"))


def test_without_its_framing_a_model_is_refused(tmp_path: Path) -> None:
    file = with_one_file(tmp_path, ".pth")
    file.with_suffix(".json").unlink()
    with pytest.raises(Unavailable, match=r'put a talk.json beside it, with its "sample_rate"'):
        loaded(file)


def test_a_folder_without_a_voice_is_refused(folder: Path) -> None:
    (folder / "vocals.pth").unlink()
    with pytest.raises(Unavailable, match="none of bass, drums, other is called vocals or speech"):
        loaded(folder)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no file that ends with"):
        loaded(tmp_path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_other_weights_are_refused_in_one_line(tmp_path: Path, suffix: str) -> None:
    file = with_one_file(tmp_path, suffix)
    weights = random_weights(3, **SIZES)
    del weights["fc2.weight"]
    save(file, weights)
    with pytest.raises(Unavailable, match=r"no weights of Open-Unmix: .*fc2") as raised:
        loaded(file)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_of_rubbish_is_refused(tmp_path: Path, suffix: str) -> None:
    file = with_one_file(tmp_path, suffix)
    file.write_bytes(b"rubbish")
    with pytest.raises((Unavailable, AssetError), match=f"talk{suffix}"):
        loaded(file)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    file = with_one_file(tmp_path, ".pth")
    save(file, {"fc1.weight": functools.partial(os.system, f"touch {tmp_path / 'ran'}")})
    with pytest.raises(AssetError, match="not allowed"):
        loaded(file)
    assert not (tmp_path / "ran").exists()


# The published weights.


def test_the_assets_are_those_of_the_model_that_is_asked_for() -> None:
    known = assets.catalogue()
    for model in MODELS:
        (name,) = choose_assets(model=model)
        assert re.match("vocals|speech|acoustic guitar", known[name].files[0].name)
    assert choose_assets(model="my/model.safetensors") == ()


def test_the_default_weights_are_free_and_those_that_are_not_say_so() -> None:
    defaults = parse_options(open_unmix, {})
    (name,) = open_unmix.assets_for(defaults)
    assert assets.catalogue()[name].licence.startswith("MIT")
    assert all(file.shipped for file in assets.catalogue()[name].files), "nothing to fetch"
    assert "non-commercial" in assets.catalogue()["open-unmix-umxl"].licence


def test_weights_that_can_t_be_had_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path))
    monkeypatch.delenv("SEPBENCH_ASSETS", raising=False)
    monkeypatch.setattr(assets, "_from_homes", lambda *given: None)
    with pytest.raises(AssetError, match="open-unmix-umxhq: vocals-b62c91ce") as raised:
        separation.load(open_unmix, parse_options(open_unmix, {"model": "umxhq"}))
    assert "\n" not in str(raised.value)
