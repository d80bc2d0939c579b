"""The course of a training: a picture, a table, and a log for TensorBoard."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.ledger import write_file
from benchmarks.training.loop import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 420  # pixels
LEFT, TOP, WIDE, HIGH, APART = 75, 40, 390, 310, 500


def write_curves(history: Sequence[Epoch], title: str, picture: Path, table: Path) -> None:
    """Draw losses and SI-SDR improvement over the epochs, and write them as CSV beside it."""
    from benchmarks.report import canvas

    figure = canvas.blank(HEIGHT)
    losses = canvas.place(figure, LEFT, TOP, WIDE, HIGH)
    scores = canvas.place(figure, LEFT + APART, TOP, WIDE, HIGH)
    numbers = [epoch.number for epoch in history]
    best = min(history, key=lambda epoch: (epoch.valid_loss, epoch.number))
    losses.plot(numbers, [e.train_loss for e in history], color=canvas.ORANGE, label="training")
    losses.plot(numbers, [e.valid_loss for e in history], color=canvas.BLUE, label="validation")
    if min(epoch.valid_loss for epoch in history) > 0:
        losses.set_yscale("log")
    scores.plot(numbers, [e.si_sdr_improvement_db for e in history], color=canvas.BLUE)
    _finish(losses, f"{title}: loss", history, best)
    _finish(scores, "SI-SDR improvement, validation, dB", history, best)
    losses.legend(frameon=False)
    write_file(picture, canvas.png(figure))
    write_file(table, _csv(history))


@contextlib.contextmanager
def tensorboard_log(folder: Path) -> Iterator[Callable[[Epoch], None]]:
    """A function that adds an epoch to TensorBoard's log in this folder.

    A training that goes on has a file of its own there; what an earlier one logged of the same
    epochs, and did not keep, is taken back.
    """
    # PyTorch's own writer asks for the whole of TensorBoard.
    from tensorboardX import SummaryWriter

    writer: SummaryWriter | None = None

    def log(epoch: Epoch) -> None:
        nonlocal writer
        first = f".{epoch.number}"  # files begun in the same second are told apart by it
        writer = writer or SummaryWriter(
            str(folder), purge_step=epoch.number, filename_suffix=first
        )
        for name, value in _scalars(epoch).items():
            if math.isfinite(value):
                writer.add_scalar(name, value, epoch.number)
        writer.flush()

    try:
        yield log
    finally:
        if writer is not None:
            writer.close()


def _scalars(epoch: Epoch) -> dict[str, float]:
    return {
        "loss/train": epoch.train_loss,
        "loss/valid": epoch.valid_loss,
        "si_sdr_improvement_db/valid": epoch.si_sdr_improvement_db,
        "learning_rate": epoch.learning_rate,
    }


def _finish(axes: Axes, title: str, history: Sequence[Epoch], best: Epoch) -> None:
    """Mark where the learning rate fell, and the epoch whose weights are kept."""
    from matplotlib.ticker import MaxNLocator

    from benchmarks.report import canvas

    for before, after in itertools.pairwise(history):
        if after.learning_rate < before.learning_rate:
            axes.axvline(after.number - 0.5, color=canvas.GREY, linewidth=0.6, linestyle=":")
    axes.axvline(best.number, color=canvas.GREY, linewidth=0.8)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("epoch (line: kept; dotted: slower from here)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _csv(history: Sequence[Epoch]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(epoch) for epoch in history)
    return text.getvalue().encode()
