"""Training: repeatable, resumable after any end, stopped in time, and its models are of use."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks import registry, separation
from benchmarks.contract import Audio, Clip
from benchmarks.errors import UserError
from benchmarks.learning import Learner
from benchmarks.options import parse_options
from benchmarks.training import loop
from benchmarks.training.loop import Plan, Progress, learn
from benchmarks.training.mixing import Example, Mixer, Mixing
from benchmarks.training.model_card import hash_of_data
from benchmarks.training.sets import Part, read_pools
from benchmarks.training.sounds import Sounds
from benchmarks.training.train import Request, train
from tests.training_sets import RATE_HZ, noise, voice, write_pools, write_tracks

SIZES = {"rate_hz": "8000", "window": "256", "hop": "128", "hidden": "16", "layers": "1",
         "bandwidth_hz": "4000"}  # fmt: skip


@contextlib.contextmanager
def no_bar(what: str) -> Iterator[Callable[[float, float, str], None]]:
    yield lambda done, total, label: None


@pytest.fixture
def pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("benchmarks.training.train.ROOMS", 2)  # they take time to simulate
    return write_pools(tmp_path / "data")


def request(pools: tuple[Path, Path], output: Path, **changes: Any) -> Request:
    asked = Request(
        "open-unmix", "speech", [], [pools[0]], [pools[1]], output, SIZES,
        seconds=1, epochs=3, steps=4, batch=2, valid_examples=4, threads=1,
        command="sepbench train open-unmix --speech speech --background background",
    )  # fmt: skip
    return dataclasses.replace(asked, **changes)


def trained(asked: Request) -> tuple[Path, list[str]]:
    said: list[str] = []
    return train(asked, say=said.append, bar=no_bar), said


def test_a_seed_gives_the_same_weights_and_another_seed_others(
    pools: tuple[Path, Path], tmp_path: Path
) -> None:
    first, _ = trained(request(pools, tmp_path / "first"))
    again, _ = trained(request(pools, tmp_path / "again"))
    other, _ = trained(request(pools, tmp_path / "other", seed=1))
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()


@pytest.mark.parametrize("stopped_at", [(1, 2), (2, 1), (3, 4)])
def test_a_training_that_was_stopped_ends_as_one_that_was_not(
    pools: tuple[Path, Path], tmp_path: Path, stopped_at: tuple[int, int]
) -> None:
    """Stopped in the first epoch it begins anew, in a later one it goes on from the one before."""
    whole, _ = trained(request(pools, tmp_path / "whole"))
    asked = request(pools, tmp_path / "stopped")

    @contextlib.contextmanager
    def pulled_plug(what: str) -> Iterator[Callable[[float, float, str], None]]:
        def tell(done: float, total: float, label: str) -> None:
            if what == "learning" and done == (stopped_at[0] - 1) * 4 + stopped_at[1]:
                raise KeyboardInterrupt

        yield tell

    with pytest.raises(KeyboardInterrupt):
        train(asked, say=lambda line: None, bar=pulled_plug)
    done = len(history(asked.output)) if stopped_at[0] > 1 else 0
    assert done == stopped_at[0] - 1
    finished, said = trained(asked)
    assert finished.read_bytes() == whole.read_bytes()
    assert [line for line in said if line.startswith("epoch 3")]
    assert [row["number"] for row in history(asked.output)] == ["1", "2", "3"]


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "curves.csv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def test_more_epochs_go_on_where_fewer_ended(pools: tuple[Path, Path], tmp_path: Path) -> None:
    whole, _ = trained(request(pools, tmp_path / "whole", epochs=3))
    trained(request(pools, tmp_path / "grown", epochs=1))
    grown, _ = trained(request(pools, tmp_path / "grown", epochs=3))
    assert grown.read_bytes() == whole.read_bytes()


def test_a_folder_of_another_training_is_not_overwritten(
    pools: tuple[Path, Path], tmp_path: Path
) -> None:
    file, _ = trained(request(pools, tmp_path / "model", epochs=1))
    before = file.read_bytes()
    with pytest.raises(UserError, match=r"holds another training .* --fresh"):
        trained(request(pools, tmp_path / "model", seed=5))
    assert file.read_bytes() == before
    anew, _ = trained(request(pools, tmp_path / "model", seed=5, epochs=1, fresh=True))
    assert anew.read_bytes() != before


def test_a_finished_model_is_not_overwritten_when_its_checkpoint_is_gone(
    pools: tuple[Path, Path], tmp_path: Path
) -> None:
    file, _ = trained(request(pools, tmp_path / "model", epochs=1))
    before = file.read_bytes()
    (tmp_path / "model" / "checkpoint.pt").unlink()
    with pytest.raises(UserError, match="holds another training"):
        trained(request(pools, tmp_path / "model", seed=5))
    assert file.read_bytes() == before


def test_the_hash_of_the_data_knows_parts_and_roles_and_not_where_they_lie(
    tmp_path: Path,
) -> None:
    """Swapped pools, or a sound that changed its part, once had the same hash."""

    def hash_of(speech: Path, background: Path) -> str:
        return hash_of_data(read_pools([speech], [background]), [speech, background])

    speech, background = write_pools(tmp_path / "here")
    first = hash_of(speech, background)
    assert hash_of(*write_pools(tmp_path / "elsewhere")) == first
    assert hash_of(background, speech) != first
    (speech / "train" / "ann" / "1.wav").rename(speech / "valid" / "cleo" / "2.wav")
    assert hash_of(speech, background) != first


def test_scales_and_means_are_kept_in_full(pools: tuple[Path, Path], tmp_path: Path) -> None:
    """Half precision ends at 65504, which the scale of a quiet bin may pass."""
    from safetensors.torch import load_file

    file, _ = trained(request(pools, tmp_path / "half", epochs=1, half=True))
    for name, weight in load_file(file).items():
        if weight.is_floating_point():
            assert (weight.dtype == torch.float16) == (weight.ndim > 1), name


def test_the_model_comes_with_its_settings_card_curves_and_log(
    pools: tuple[Path, Path], tmp_path: Path
) -> None:
    file, said = trained(
        request(pools, tmp_path / "model", licence="MIT", data_licence="made for a test")
    )
    folder = file.parent
    assert json.loads(file.with_suffix(".json").read_text()) == {
        "sample_rate": 8000, "nfft": 256, "nhop": 128, "target": "speech",
    }  # fmt: skip
    card = file.with_suffix(".md").read_text()
    for fact in ("| licence | MIT |", "made for a test", "| seed | 0 |", "hidden 16",
                 "sepbench train open-unmix --speech speech", "speech: 6 sounds",
                 "SI-SDR improvement, validation"):  # fmt: skip
        assert fact in card
    assert str(tmp_path) not in card, "a card names no folders of the machine"
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len(history(folder)) == 3
    assert logged(folder / "tensorboard")["loss/valid"] == pytest.approx(
        {int(row["number"]): float(row["valid_loss"]) for row in history(folder)}, rel=1e-6
    )
    assert any(line.startswith("train: 12.0 s") or "of the target" in line for line in said)


def logged(folder: Path) -> dict[str, dict[int, float]]:
    """The scalars of a TensorBoard log, read as TFRecord: length, checksum, event, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, dict[int, float]] = {}
    for file in sorted(folder.glob("events.*")):
        content = file.read_bytes()
        while content:
            size = int.from_bytes(content[:8], "little")
            event = Event.FromString(content[12 : 12 + size])
            content = content[16 + size :]
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_half_precision_is_half_the_size_and_nearly_the_same_sound(
    pools: tuple[Path, Path], tmp_path: Path
) -> None:
    full, _ = trained(request(pools, tmp_path / "full", epochs=1))
    half, _ = trained(request(pools, tmp_path / "half", epochs=1, half=True))
    assert half.stat().st_size < 0.7 * full.stat().st_size
    mixture = Audio(voice(2, 3) + noise(2, 4), RATE_HZ)
    one, other = (separated(mixture, file) for file in (full, half))
    error = np.square(one - other).sum() / np.square(one).sum()
    assert 10 * np.log10(error) < -40


def separated(mixture: Audio, model: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The vocals that open-unmix finds with a model of one's own."""
    method = registry.methods()["open-unmix"]
    loaded = separation.load(method, parse_options(method, {"model": str(model), "niter": "0"}))
    return separation.separate(loaded, Clip("a", "simple", mixture)).vocals.samples


@pytest.mark.slow
def test_open_unmix_learns_to_tell_a_voice_from_noise(
    pools: tuple[Path, Path], tmp_path: Path
) -> None:
    file, _ = trained(
        request(pools, tmp_path / "model", epochs=4, steps=60, batch=8, learning_rate=3e-3)
    )
    speech, background = voice(3, 77), noise(3, 78)
    before = np.square(background).sum()
    after = np.square(separated(Audio(speech + background, RATE_HZ), file) - speech).sum()
    assert 10 * np.log10(before / after) > 3


def test_a_model_of_tracks_is_named_by_its_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path / "cache"))
    tracks = write_tracks(tmp_path / "tracks")
    asked = request((tmp_path, tmp_path), tmp_path / "model", epochs=1, target="voice")
    file, _ = trained(dataclasses.replace(asked, data=[tracks], speech=[], background=[]))
    assert file.name == "voice.safetensors"


def test_who_stops_a_training_is_told_how_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks import cli_training

    def stopped(asked: Request, **watching: Any) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.training.train.train", stopped)
    with pytest.raises(KeyboardInterrupt):
        cli_training.train(["open-unmix"], output=tmp_path)
    assert "the same command goes on" in capsys.readouterr().out


# The loop, with a network of one number.


class OneNumber(Learner):
    """Scales the mixture; learns to scale it by 3, and counts what it is asked."""

    network: torch.nn.Linear
    rate_hz, channels = RATE_HZ, 2

    def __init__(self, *, broken_at: int = -1) -> None:
        self.network = torch.nn.Linear(1, 1, bias=False)
        self.steps, self.broken_at = 0, broken_at

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        self.steps += self.network.training
        if self.steps == self.broken_at:
            return self.network.weight.sum() * float("nan")
        return (self.network.weight - 3).square().sum()

    def estimate(self, mixture: Tensor) -> Tensor:
        return mixture * self.network.weight

    def settings(self) -> dict[str, Any]:
        return {}


PLAN = Plan(epochs=40, steps=2, batch=1, valid_examples=1, learning_rate=0.5, weight_decay=0,
            patience=4, drop_patience=1, drop_factor=0.1, seed=0, mixed=False)  # fmt: skip


def run_loop(
    pools: tuple[Path, Path],
    tmp_path: Path,
    learner: Learner,
    plan: Plan = PLAN,
    on_step: Callable[[int, int, float], None] = lambda epoch, step, loss: None,
) -> Progress:
    collection = read_pools([pools[0]], [pools[1]])
    mixer = Mixer(collection, Sounds(RATE_HZ, 2, tmp_path / "decoded"), Mixing(seconds=0.5), 0)
    return learn(
        learner, mixer, plan, device="cpu", checkpoint=tmp_path / "checkpoint.pt",
        starts_from_weights=False, on_step=on_step, on_epoch=lambda progress: None,
    )  # fmt: skip


def test_the_rate_falls_when_it_gets_no_better_and_then_it_stops(
    pools: tuple[Path, Path], tmp_path: Path
) -> None:
    learner = OneNumber()
    progress = run_loop(pools, tmp_path, learner)
    rates = [epoch.learning_rate for epoch in progress.history]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] <= 0.05 < rates[0]
    best = progress.best_epoch
    assert len(progress.history) == best.number + PLAN.patience < PLAN.epochs
    assert best.valid_loss == min(epoch.valid_loss for epoch in progress.history)
    assert torch.equal(learner.network.weight, progress.best["weight"])


def test_an_epoch_has_all_its_steps_and_all_its_examples(
    pools: tuple[Path, Path], tmp_path: Path
) -> None:
    """The last batch of each epoch and of each validation was once left out."""
    plan = dataclasses.replace(PLAN, epochs=2, steps=7, batch=2, valid_examples=9)
    steps: list[tuple[int, int]] = []
    heard: list[int] = []

    class Counting(OneNumber):
        def estimate(self, mixture: Tensor) -> Tensor:
            heard.append(len(mixture))
            return super().estimate(mixture)

    run_loop(
        pools,
        tmp_path,
        Counting(),
        plan,
        on_step=lambda epoch, step, loss: steps.append((epoch, step)),
    )
    assert steps == [(epoch, step) for epoch in (1, 2) for step in range(1, 8)]
    assert heard == 2 * [2, 2, 2, 2, 1]


def test_examples_with_nothing_to_take_away_are_not_scored_in_db(
    pools: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the mixture is the target, any change is a loss of some 90 dB."""
    example = Mixer.example

    def sometimes_alone(mixer: Mixer, part: Part, number: int) -> Example:
        mixture, target = example(mixer, part, number)
        return (target, target) if number % 2 else (mixture, target)

    monkeypatch.setattr(Mixer, "example", sometimes_alone)
    learner = OneNumber()
    learner.network.weight.data.fill_(1.001)
    plan = dataclasses.replace(PLAN, epochs=1, valid_examples=8, learning_rate=1e-12)
    assert abs(run_loop(pools, tmp_path, learner, plan).history[0].si_sdr_improvement_db) < 0.1


def test_a_loss_that_is_no_number_stops_it_in_one_line(
    pools: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"the loss is nan in epoch 2, step 1: .*--learning-rate"):
        run_loop(pools, tmp_path, OneNumber(broken_at=3))
    assert (tmp_path / "checkpoint.pt").exists(), "the epoch before it is kept"


def test_a_checkpoint_of_another_network_is_refused(
    pools: tuple[Path, Path], tmp_path: Path
) -> None:
    run_loop(pools, tmp_path, OneNumber())
    wide = OneNumber()
    wide.network = torch.nn.Linear(2, 1, bias=False)
    with pytest.raises(UserError, match=r"checkpoint\.pt: it is of another network"):
        run_loop(pools, tmp_path, wide)


def test_si_sdr_of_validation_is_the_metrics_own() -> None:
    from metrics.si_sdr import si_sdr

    reference = Audio(voice(1, 1), RATE_HZ)
    estimate = reference.like(reference.samples + noise(1, 2))
    ours = loop._si_sdr_db(
        *(torch.from_numpy(each.samples)[None] for each in (reference, estimate))
    )
    theirs = registry.metrics()["si-sdr"].call(reference, estimate, model=None, options={})
    assert si_sdr.name == "si-sdr"
    assert ours.item() == pytest.approx(theirs, abs=1e-3)


# Mistakes.


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"speech": []}, "name the data"),
        ({"speech": [], "background": []}, "name the data"),
        ({"method": "open-unmx"}, "no trainable method 'open-unmx'. Did you mean open-unmix"),
        ({"options": {"hiden": "3"}}, "no option 'hiden'. Did you mean hidden"),
        ({"start": "pretrained"}, "no pretrained weights for open-unmix"),
        ({"start": "nowhere.safetensors"}, "--from nowhere.safetensors: no such file"),
        ({"snr_db": (5, -5)}, "the lowest level, 5 dB, is above the highest, -5 dB"),
        ({"device": "toaster"}, "--device toaster"),
        ({"seconds": 0.015}, "--seconds 0.015: its spectrogram needs more than 0.016"),
        ({"target": "../speech"}, "--target ../speech: name a stem"),
    ],
    ids=lambda given: given if isinstance(given, str) else None,
)
def test_a_mistake_is_one_line(
    pools: tuple[Path, Path], tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UserError) as caught:
        trained(request(pools, tmp_path / "model", **changes))
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_other_sizes_are_no_start(pools: tuple[Path, Path], tmp_path: Path) -> None:
    file, _ = trained(request(pools, tmp_path / "small", epochs=1))
    wider = request(pools, tmp_path / "wide", start=str(file), options={**SIZES, "hidden": "32"})
    with pytest.raises(UserError, match="can't start from these weights"):
        trained(wider)


def test_a_start_from_weights_begins_where_they_ended(
    pools: tuple[Path, Path], tmp_path: Path
) -> None:
    file, _ = trained(request(pools, tmp_path / "first", epochs=1))
    learner = registry.trainers()["open-unmix"].learner(
        file, parse_options(registry.trainers()["open-unmix"], SIZES)
    )
    from safetensors.torch import load_file

    kept, _ = trained(request(pools, tmp_path / "second", start=str(file), learning_rate=1e-9))
    first = history(tmp_path / "second")[0]
    assert first["number"] == "0" and first["train_loss"] == "nan"
    assert float(first["valid_loss"]) == pytest.approx(
        min(float(row["valid_loss"]) for row in history(tmp_path / "first")), rel=1e-6
    )
    assert len(history(tmp_path / "second")) == 4
    assert "; before, " in kept.with_suffix(".md").read_text()
    for name, weight in load_file(file).items():
        assert torch.equal(learner.network.state_dict()[name], weight)
