"""What a method hands over so that it can be trained: a *learner*, made by a *trainer*.

A method that learns has a file ``train_METHOD.py`` beside its own. Its one function, under
:func:`trainer`, makes the network and says how it learns; data, epochs, checkpoints, curves and
cards are the business of ``benchmarks.training``, the same for all. Like the contract, this module
knows nothing of files, processes or reports, and plugins may import it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contract import Plugin, described

if TYPE_CHECKING:
    from torch import Tensor, nn

Start = Mapping[str, Path] | Path | None
"""Where weights come from: the folder of each asset, a file of the user's, or nowhere."""


class Learner(ABC):
    """A network, its loss, and how it is called to do its work.

    All sound is float32 of shape ``(batch, channels, samples)``, at ``rate_hz``.

    Attributes:
        network: what is trained; its ``state_dict`` is what is saved.
        rate_hz: of the sound it hears.
        channels: 1 or 2, of the sound it hears.
        excerpt_seconds: how long an example is by default.
        shortest_seconds: what an example must be longer than.
        batch: how many examples a step takes by default.
        learning_rate: of Adam, at the start, by default.
        weight_decay: of Adam.
    """

    network: nn.Module
    rate_hz: int = 44100
    channels: int = 2
    excerpt_seconds: float = 6.0
    shortest_seconds: float = 0.0
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.0

    def prepare(self, mixtures: Iterable[Tensor]) -> None:  # noqa: B027 - most need nothing
        """Learn from mixtures, before the first step, what is not learnt by descent.

        Asked where the weights are random; those that were trained before have it in them.
        """

    @abstractmethod
    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        """What is to become small, of a batch; a number to differentiate."""

    @abstractmethod
    def estimate(self, mixture: Tensor) -> Tensor:
        """The target's sound in each mixture, of the mixture's shape; asked for scores alone."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the method must know beside the weights; it becomes the JSON beside them."""


@dataclass(frozen=True, slots=True, eq=False)
class Trainer(Plugin):
    """How a method's network is made ready to learn. See :func:`trainer`."""

    def learner(self, start: Start, options: Mapping[str, Any]) -> Learner:
        """The network, from these weights or from chance."""
        found: Learner = self.function(start, **options)
        return found


def trainer(
    *, method: str, paper: str = "", assets: tuple[str, ...] = ()
) -> Callable[[Callable[..., Learner]], Trainer]:
    """Make a trainer of ``make(start, *, options...) -> Learner``.

    Args:
        method: the name of the method whose network it trains.
        paper: where the way of training comes from.
        assets: names of the weights from which ``--from pretrained`` starts, if there are any.
    """

    def wrap(function: Callable[..., Learner]) -> Trainer:
        return Trainer(**described(function, method), paper=paper, assets=assets)

    return wrap
