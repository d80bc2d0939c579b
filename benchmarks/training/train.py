"""From folders of sounds to a model in one command: read, decode, check, learn, write the card."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import assets, registry
from benchmarks.contract import Unavailable
from benchmarks.errors import UserError
from benchmarks.learning import Learner, Start, Trainer
from benchmarks.ledger import write_file
from benchmarks.options import parse_options
from benchmarks.training import curves, model_card
from benchmarks.training.check import Checked, check
from benchmarks.training.loop import Plan, Progress, learn
from benchmarks.training.mixing import Mixer, Mixing
from benchmarks.training.rooms import simulated_rooms
from benchmarks.training.sets import PARTS, Collection, Pools, read_pools, read_tracks
from benchmarks.training.sounds import Sounds

Bar = Callable[[str], AbstractContextManager[Callable[[float, float, str], None]]]
Say = Callable[[str], None]

ROOMS = 60
LEAST_STEPS, MOST_STEPS = 50, 1000  # of an epoch, where the user does not say


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asks for. A value of None is the method's own, or follows from the data."""

    method: str
    target: str
    data: Sequence[Path]
    speech: Sequence[Path]
    background: Sequence[Path]
    output: Path
    options: Mapping[str, str]
    start: str = ""
    seconds: float | None = None
    snr_db: tuple[float, float] = (-5.0, 12.0)
    epochs: int = 200
    steps: int | None = None
    batch: int | None = None
    valid_examples: int = 64
    learning_rate: float | None = None
    patience: int = 20
    drop_patience: int = 6
    drop_factor: float = 0.3
    seed: int = 0
    mixed: bool = False
    device: str = "auto"
    threads: int = 0
    half: bool = False
    licence: str = ""
    data_licence: str = ""
    fresh: bool = False
    command: str = ""


def train(request: Request, *, say: Say, bar: Bar) -> Path:
    """Train a method for a target, and return the weights' file.

    The folder gets the weights with their JSON and card, the curves as a picture, as CSV and as a
    TensorBoard log, and the checkpoint from which the same command goes on.

    Raises:
        UserError: bad data, bad options, or a checkpoint of another training.
    """
    _check_request(request)
    trainer = registry.find(registry.trainers(), request.method, "trainable method")
    collection = _read(request)
    device = _device(request.device)
    with _threads(request.threads):
        learner, options = _learner(trainer, request)
        sounds = Sounds(learner.rate_hz, learner.channels)
        with bar("decoding") as progress:
            sounds.decode([s for part in PARTS for s in collection.stems(part)], progress)
        checked = check(collection, sounds)
        for line in checked.lines:
            say(line)
        mixing = _mixing(request, learner)
        plan = _plan(request, learner, checked, mixing.seconds)
        story = _story(request, options, checked, plan, mixing, device)
        _claim_folder(request, story)
        rooms = (
            simulated_rooms(ROOMS, learner.rate_hz, learner.channels, request.seed)
            if isinstance(collection, Pools)
            else []
        )
        mixer = Mixer(checked.collection, sounds, mixing, request.seed, rooms)
        size = sum(each.numel() for each in learner.network.parameters())
        say(f"{request.method}: {size:,} weights, {plan.steps} steps an epoch, on {device}")
        return _learn(learner, mixer, plan, story, request, device, say=say, bar=bar)


def _check_request(request: Request) -> None:
    """What can be known to be wrong before any sound is read."""
    lowest, highest = request.snr_db
    if lowest > highest:
        raise UserError(f"the lowest level, {lowest:g} dB, is above the highest, {highest:g} dB")
    if Path(request.target).name != request.target:
        raise UserError(f"--target {request.target}: name a stem; its model's file is called so")
    request.output.mkdir(parents=True, exist_ok=True)


def _read(request: Request) -> Collection:
    pools = bool(request.speech or request.background)
    if pools == bool(request.data) or bool(request.speech) != bool(request.background):
        raise UserError(
            "name the data: --data FOLDER for tracks with stems, or --speech FOLDER and "
            "--background FOLDER for two pools that are mixed"
        )
    if pools:
        return read_pools(request.speech, request.background)
    return read_tracks(request.data, request.target)


def _learner(trainer: Trainer, request: Request) -> tuple[Learner, dict[str, Any]]:
    import torch

    options = parse_options(trainer, request.options)
    torch.manual_seed(request.seed)
    try:
        return trainer.learner(_start(trainer, request.start), options), options
    except Unavailable as unavailable:
        raise UserError(str(unavailable)) from unavailable


def _start(trainer: Trainer, start: str) -> Start:
    if not start:
        return None
    if start != "pretrained":
        file = Path(start).expanduser()
        if not file.is_file():
            raise UserError(f"--from {start}: no such file; name weights, or 'pretrained'")
        return file
    if not trainer.assets:
        raise UserError(f"there are no pretrained weights for {trainer.name}; name a file of yours")
    return {name: assets.path(name) for name in trainer.assets}


def _plan(request: Request, learner: Learner, checked: Checked, seconds: float) -> Plan:
    batch = request.batch or learner.batch
    once = math.ceil(checked.hours["train"] * 3600 / (batch * seconds))
    return Plan(
        epochs=request.epochs,
        steps=request.steps or min(max(once, LEAST_STEPS), MOST_STEPS),
        batch=batch,
        valid_examples=request.valid_examples,
        learning_rate=(
            learner.learning_rate if request.learning_rate is None else request.learning_rate
        ),
        weight_decay=learner.weight_decay,
        patience=request.patience,
        drop_patience=request.drop_patience,
        drop_factor=request.drop_factor,
        seed=request.seed,
        mixed=request.mixed,
    )


def _mixing(request: Request, learner: Learner) -> Mixing:
    seconds = request.seconds or learner.excerpt_seconds
    if seconds <= learner.shortest_seconds:
        raise UserError(
            f"--seconds {seconds:g}: its spectrogram needs more than {learner.shortest_seconds:.3g}"
        )
    return Mixing(seconds=seconds, snr_db=request.snr_db)


def _story(
    request: Request,
    options: Mapping[str, Any],
    checked: Checked,
    plan: Plan,
    mixing: Mixing,
    device: str,
) -> model_card.Story:
    stems = [stem for part in PARTS for stem in checked.collection.stems(part)]
    named = [*request.data, *request.speech, *request.background]
    return model_card.Story(
        method=request.method,
        target=request.target,
        options=options,
        data=[f"{folder.name}: {_counted(folder, stems)}" for folder in named],
        data_sha256=model_card.hash_of_data(checked.collection, named),
        data_licence=request.data_licence,
        licence=request.licence,
        found=[_without_folders(line, named) for line in checked.lines],
        plan=plan,
        mixing=mixing,
        device=device,
        start=request.start or "random weights",
        command=request.command,
    )


def _counted(folder: Path, stems: Sequence[Any]) -> str:
    count = sum(stem.path.is_relative_to(folder) for stem in stems)
    return f"{count} sounds"


def _without_folders(line: str, folders: Sequence[Path]) -> str:
    """The line with no more of a path than a reader of the card has any use for."""
    for folder in folders:
        line = line.replace(f"{folder.parent}{os.sep}", "")
    return line


def _claim_folder(request: Request, story: model_card.Story) -> None:
    """Begin in a new folder, or go on in one of the same training."""
    marker, checkpoint = request.output / "training.json", _checkpoint(request.output)
    said = model_card.fingerprint(story)
    there = checkpoint.exists() or _model_file(request).exists()
    if request.fresh:
        checkpoint.unlink(missing_ok=True)
    elif there and (not marker.exists() or marker.read_text("utf-8") != said):
        raise UserError(
            f"{request.output} holds another training (of other data, options or seed): "
            "name another folder with -o, or begin anew with --fresh"
        )
    write_file(marker, said.encode())


def _model_file(request: Request) -> Path:
    return request.output / f"{request.target}.safetensors"


def _checkpoint(folder: Path) -> Path:
    return folder / "checkpoint.pt"


def _learn(
    learner: Learner,
    mixer: Mixer,
    plan: Plan,
    story: model_card.Story,
    request: Request,
    device: str,
    *,
    say: Say,
    bar: Bar,
) -> Path:
    folder = request.output
    file = _model_file(request)
    in_all = plan.epochs * plan.steps
    with bar("learning") as tell, curves.tensorboard_log(folder / "tensorboard") as log:

        def on_step(epoch: int, step: int, loss: float) -> None:
            tell((epoch - 1) * plan.steps + step, in_all, f"epoch {epoch}, loss {loss:.4g}")

        def on_epoch(progress: Progress) -> None:
            """Everything that a person looks at, and the weights when they got better."""
            epoch, title = progress.history[-1], f"{request.method}, {request.target}"
            pictures = folder / "curves.png", folder / "curves.csv"
            curves.write_curves(progress.history, title, *pictures)
            log(epoch)
            if progress.best_epoch is epoch or not file.exists():
                model_card.write_model(folder, learner, progress, story, half=request.half)
            say(
                f"epoch {epoch.number}: loss {epoch.train_loss:.4g}, validation "
                f"{epoch.valid_loss:.4g}, SI-SDR {epoch.si_sdr_improvement_db:+.2f} dB, "
                f"learning rate {epoch.learning_rate:.2g}, {epoch.seconds:.0f} s"
            )

        checkpoint = _checkpoint(folder)
        progress = learn(
            learner, mixer, plan, device=device, checkpoint=checkpoint,
            starts_from_weights=bool(request.start), on_step=on_step, on_epoch=on_epoch,
        )  # fmt: skip
    file = model_card.write_model(folder, learner, progress, story, half=request.half)
    best = progress.best_epoch
    say(
        f"kept epoch {best.number}: validation loss {best.valid_loss:.4g}, "
        f"SI-SDR {best.si_sdr_improvement_db:+.2f} dB"
    )
    return file


def _device(asked: str) -> str:
    import torch

    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=asked)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {asked}: {' '.join(str(error).split())[:120]}") from error
    return asked


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads for the network; 0: as many as there are cores. Repeatable by the bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what CUDA needs for it
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(before)
