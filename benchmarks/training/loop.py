"""The training loop: epochs, validation, falling learning rates, early stopping, checkpoints.

After every epoch all that the next one depends on is on disk, so that a run that was stopped,
however, goes on with the next epoch. On a processor it ends with the same weights, to the bit, as
one that was not; on a GPU the libraries underneath keep some of their chance to themselves.
"""

from __future__ import annotations

import io
import itertools
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.checkpoints import load_pickle
from benchmarks.errors import UserError
from benchmarks.learning import Learner
from benchmarks.ledger import write_file
from benchmarks.training.mixing import Mixer
from benchmarks.training.sets import Part

if TYPE_CHECKING:
    import torch
    from torch import Tensor

AHEAD = 3  # batches that are mixed while one is learnt from
MOST_GRADIENT = 5.0  # norm; longer steps are cut to it
STATISTICS = 200  # mixtures that a network may look at before it begins
PREPARING = 1 << 40  # the number of the first of them, which no epoch reaches
FLOOR = 10 ** (-50.0 / 10)  # power of a target that is too soft to be scored in dB
LEAST_REST = 10 ** (-30.0 / 10)  # of the target's power: with less to take away, neither is it


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to learn.

    Args:
        epochs: at most so many.
        steps: batches an epoch.
        batch: examples a batch.
        valid_examples: examples that are scored after each epoch, always the same.
        learning_rate: of Adam, at the start.
        weight_decay: of Adam.
        patience: epochs without a better validation loss before it stops.
        drop_patience: epochs without a better one before the learning rate falls.
        drop_factor: to what share it falls.
        seed: of weights, of dropout, and of all that is drawn.
        mixed: multiply in bfloat16 and sum in float32, for speed where there are units for it.
    """

    epochs: int
    steps: int
    batch: int
    valid_examples: int
    learning_rate: float
    weight_decay: float
    patience: int
    drop_patience: int
    drop_factor: float
    seed: int
    mixed: bool


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch came to. SI-SDR improvements are means over the validation examples.

    Epoch 0, of a training that starts from weights, is what these are worth; its training loss is
    NaN.
    """

    number: int
    train_loss: float
    valid_loss: float
    si_sdr_improvement_db: float
    learning_rate: float
    seconds: float


@dataclass
class Progress:
    """Where the learning stands: all epochs so far, and the best weights."""

    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def best_epoch(self) -> Epoch:
        return min(self.history, key=lambda epoch: (epoch.valid_loss, epoch.number))

    def epochs_since_best(self) -> int:
        return self.epochs - self.best_epoch.number if self.history else 0

    @property
    def epochs(self) -> int:
        """How many were learnt from."""
        return self.history[-1].number if self.history else 0


OnStep = Callable[[int, int, float], None]
OnEpoch = Callable[[Progress], None]


def learn(
    learner: Learner,
    mixer: Mixer,
    plan: Plan,
    *,
    device: str,
    checkpoint: Path,
    starts_from_weights: bool,
    on_step: OnStep,
    on_epoch: OnEpoch,
) -> Progress:
    """Train until the epochs are over or the validation loss no longer falls.

    Args:
        learner: its network is trained in place, and ends with the best weights.
        mixer: draws the examples.
        plan: how long and how fast.
        device: ``cpu``, ``cuda`` or another that PyTorch knows.
        checkpoint: the file to go on from, if it is there, and to leave after every epoch.
        starts_from_weights: score them first, as epoch 0, and keep them if nothing gets better.
        on_step: is told the epoch, the step and the loss.
        on_epoch: is told what there is after each epoch, also those of an earlier run at once.

    Raises:
        UserError: the loss is no number any more, or the checkpoint belongs to other sizes.
    """
    import torch

    state = _State.fresh(learner, plan, device)
    if checkpoint.exists():
        state.restore(checkpoint)
    elif not starts_from_weights:
        learner.prepare(
            torch.from_numpy(mixer.example("train", PREPARING + number)[0])[None].to(device)
            for number in range(STATISTICS)
        )
    if state.progress.history:
        on_epoch(state.progress)
    with ThreadPoolExecutor(AHEAD, "mixing") as mixing:
        if starts_from_weights and not state.progress.history:
            _scored_epoch(state, mixer, plan, mixing, 0, math.nan, time.monotonic())
            on_epoch(state.progress)
        while not state.is_over(plan):
            _one_epoch(state, mixer, plan, mixing, on_step)
            state.save(checkpoint)
            on_epoch(state.progress)
    learner.network.load_state_dict(state.progress.best)
    learner.network.eval()
    return state.progress


@dataclass
class _State:
    """All that the next epoch depends on."""

    learner: Learner
    device: str
    adam: torch.optim.Optimizer
    drops: torch.optim.lr_scheduler.ReduceLROnPlateau
    progress: Progress

    @classmethod
    def fresh(cls, learner: Learner, plan: Plan, device: str) -> _State:
        import torch

        torch.manual_seed(plan.seed)
        learner.network.to(device)
        learnt = [each for each in learner.network.parameters() if each.requires_grad]
        adam = torch.optim.Adam(learnt, lr=plan.learning_rate, weight_decay=plan.weight_decay)
        drops = torch.optim.lr_scheduler.ReduceLROnPlateau(
            adam, factor=plan.drop_factor, patience=plan.drop_patience, cooldown=1,
            threshold=0, threshold_mode="abs",  # losses in dB may be below 0
        )  # fmt: skip
        return cls(learner, device, adam, drops, Progress())

    @property
    def on_cuda(self) -> bool:
        return self.device.startswith("cuda")

    def is_over(self, plan: Plan) -> bool:
        done = self.progress
        return done.epochs >= plan.epochs or done.epochs_since_best() >= plan.patience

    def save(self, checkpoint: Path) -> None:
        import torch

        content = {
            "network": self.learner.network.state_dict(),
            "adam": self.adam.state_dict(),
            "drops": self.drops.state_dict(),
            "best": self.progress.best,
            "history": [asdict(epoch) for epoch in self.progress.history],
            "chance": torch.get_rng_state(),
            "chance_cuda": torch.cuda.get_rng_state(self.device) if self.on_cuda else None,
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_file(checkpoint, buffer.getvalue())

    def restore(self, checkpoint: Path) -> None:
        import torch

        saved: dict[str, Any] = load_pickle(checkpoint)
        try:
            self.learner.network.load_state_dict(saved["network"])
            self.adam.load_state_dict(saved["adam"])
            self.drops.load_state_dict(saved["drops"])
        except (KeyError, RuntimeError, ValueError) as error:
            why = " ".join(str(error).split())[:200]
            raise UserError(
                f"{checkpoint}: it is of another network ({why}); begin anew with --fresh"
            ) from error
        torch.set_rng_state(saved["chance"])
        if saved["chance_cuda"] is not None and self.on_cuda:
            torch.cuda.set_rng_state(saved["chance_cuda"], self.device)
        history = [Epoch(**epoch) for epoch in saved["history"]]
        self.progress = Progress(history, saved["best"])


def _one_epoch(
    state: _State, mixer: Mixer, plan: Plan, mixing: ThreadPoolExecutor, on_step: OnStep
) -> None:
    number, began = state.progress.epochs + 1, time.monotonic()
    train_loss = _train(state, mixer, plan, mixing, number, on_step)
    _scored_epoch(state, mixer, plan, mixing, number, train_loss, began)


def _scored_epoch(
    state: _State,
    mixer: Mixer,
    plan: Plan,
    mixing: ThreadPoolExecutor,
    number: int,
    train_loss: float,
    began: float,
) -> None:
    """Validate, add to the history, keep the best weights, and slow down if it gets no better."""
    rate = float(state.adam.param_groups[0]["lr"])
    valid_loss, improvement_db = _validate(state, mixer, plan, mixing)
    seconds = round(time.monotonic() - began, 1)
    epoch = Epoch(number, train_loss, valid_loss, improvement_db, rate, seconds)
    state.progress.history.append(epoch)
    if state.progress.best_epoch is epoch:
        weights = state.learner.network.state_dict()
        state.progress.best = {name: each.detach().cpu().clone() for name, each in weights.items()}
    state.drops.step(valid_loss)


def _train(
    state: _State,
    mixer: Mixer,
    plan: Plan,
    mixing: ThreadPoolExecutor,
    number: int,
    on_step: OnStep,
) -> float:
    """One epoch of descent; the mean loss."""
    import torch

    learner = state.learner
    first = (number - 1) * plan.steps * plan.batch
    learner.network.train()
    total = 0.0
    for step, (mixture, target) in enumerate(
        _batches(mixer, "train", first, plan.steps * plan.batch, plan.batch, mixing, state.device)
    ):
        state.adam.zero_grad(set_to_none=True)
        with torch.autocast(mixture.device.type, torch.bfloat16, enabled=plan.mixed):
            loss = learner.loss(mixture, target)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(learner.network.parameters(), MOST_GRADIENT)
        state.adam.step()
        value = loss.item()
        if not math.isfinite(value):
            raise UserError(
                f"the loss is {value} in epoch {number}, step {step + 1}: begin anew with "
                "--fresh and a smaller --learning-rate"
            )
        total += value
        on_step(number, step + 1, value)
    return total / plan.steps


def _validate(
    state: _State, mixer: Mixer, plan: Plan, mixing: ThreadPoolExecutor
) -> tuple[float, float]:
    """The mean loss of the validation examples, and their mean SI-SDR improvement in dB."""
    import torch

    learner, losses, improvements = state.learner, [], list[float]()
    learner.network.eval()
    with torch.inference_mode():
        for mixture, target in _batches(
            mixer, "valid", 0, plan.valid_examples, plan.batch, mixing, state.device
        ):
            losses.append(learner.loss(mixture, target).item() * len(mixture))
            estimate = learner.estimate(mixture)
            target_power = target.square().mean((1, 2))
            rest_power = (mixture - target).square().mean((1, 2))
            scored = (target_power > FLOOR) & (rest_power > target_power * LEAST_REST)
            gain = _si_sdr_db(target, estimate) - _si_sdr_db(target, mixture)
            improvements += gain[scored].tolist()
    mean_db = float(np.mean(improvements)) if improvements else math.nan
    mean_loss = sum(losses) / plan.valid_examples
    if not math.isfinite(mean_loss):
        raise UserError(
            f"the validation loss is {mean_loss}: begin anew with --fresh and a smaller "
            "--learning-rate"
        )
    return mean_loss, mean_db


def _batches(
    mixer: Mixer,
    part: Part,
    first: int,
    count: int,
    batch: int,
    mixing: ThreadPoolExecutor,
    device: str,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Examples in batches, mixed in another thread while the network is at work."""
    import torch

    def mixed(start: int) -> tuple[Tensor, Tensor]:
        numbers = range(start, min(start + batch, first + count))
        pairs = [mixer.example(part, number) for number in numbers]
        mixtures, targets = (torch.from_numpy(np.stack(each)) for each in zip(*pairs, strict=True))
        return mixtures, targets

    starts = iter(range(first, first + count, batch))
    waiting = [mixing.submit(mixed, start) for start in itertools.islice(starts, AHEAD)]
    while waiting:
        mixtures, targets = waiting.pop(0).result()
        if (start := next(starts, None)) is not None:
            waiting.append(mixing.submit(mixed, start))
        yield mixtures.to(device), targets.to(device)


def _si_sdr_db(reference: Tensor, estimate: Tensor) -> Tensor:
    """SI-SDR of each example, all channels together; silence is kept from dividing by 0."""
    tiny = 1e-9
    dot = (reference * estimate).sum((1, 2), keepdim=True)
    scaled = dot / (reference.square().sum((1, 2), keepdim=True) + tiny) * reference
    noise = (estimate - scaled).square().sum((1, 2)) + tiny
    return 10 * ((scaled.square().sum((1, 2)) + tiny) / noise).log10()
