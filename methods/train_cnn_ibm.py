"""Training the network of ``cnn-ibm`` for a target of one's own: which cells the target rules.

Lin, Balamurali, Koh, Lui and Herremans, "Singing voice separation using a deep convolutional neural
network trained by ideal binary mask and cross entropy", Neural Computing and Applications, 2018.
As there, the network learns from the binary cross-entropy against the ideal binary mask. Unlike
there, cells count the more the louder they are: see :func:`weights_of_cells`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from benchmarks.contract import Option, Unavailable
from benchmarks.learning import Learner, Start, trainer
from methods._own_model import Framing, framing_to_train, mean_and_scale, start_from

if TYPE_CHECKING:
    from torch import Tensor

    from methods._cnn_ibm_network import MaskNetwork

RANGE_DB = 60.0  # under an excerpt's loudest cell; what is softer doesn't count
LEAST_SHARE = 1e-2  # of the greatest deviation: no bin is scaled up more than the rest by 100


class MaskLearner(Learner):
    """A network that tells whose each cell is, with the framing of its spectrograms."""

    network: MaskNetwork
    channels = 1  # each is separated by itself
    excerpt_seconds = 2.0
    batch = 8

    def __init__(self, network: MaskNetwork, framing: Framing) -> None:
        self.network, self.framing, self.rate_hz = network, framing, framing.rate_hz

    def prepare(self, mixtures: Iterable[Tensor]) -> None:
        """Scale the levels of every bin by their mean and deviation over the training mixtures."""
        levels = (self.network.levels(self._spectrum(each).abs()) for each in mixtures)
        mean, scale = mean_and_scale(levels, LEAST_SHARE)
        self.network.input_mean.copy_(mean)
        self.network.input_scale.copy_(scale)

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        """The cross-entropy against the ideal binary mask, a weighted mean over cells."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        whole, wanted = self._spectrum(mixture), self._spectrum(target)
        magnitudes = whole.abs()
        ideal = (wanted.abs() > (whole - wanted).abs()).to(magnitudes.dtype)
        weights = weights_of_cells(magnitudes)
        entropy = binary_cross_entropy_with_logits(
            self.network(magnitudes), ideal, weights, reduction="sum"
        )
        return entropy / weights.sum().clamp_min(1.0)

    def estimate(self, mixture: Tensor) -> Tensor:
        """The mixture under the soft mask, with its own phase."""
        from methods._cnn_ibm_network import sound_of

        cells = self._spectrum(mixture)
        masked = cells * self.network(cells.abs()).sigmoid()
        return sound_of(masked, self.framing, mixture.shape[-1]).view_as(mixture)

    def settings(self) -> dict[str, Any]:
        return self.framing.settings()

    def _spectrum(self, sound: Tensor) -> Tensor:
        """The STFT of every channel by itself, ``(batch * channels, frames, bins)``."""
        from methods._cnn_ibm_network import spectrum

        return spectrum(sound.flatten(0, 1), self.framing)


def weights_of_cells(magnitudes: Tensor) -> Tensor:
    """How much each cell counts, 0 to 1, for magnitudes of shape ``(batch, frames, bins)``.

    In proportion to its level in dB above one 60 dB under the loudest of its excerpt, and not at
    all below that. Most cells hold next to nothing, and whose that is, nobody hears: with all cells
    alike, the network would learn the noise of recordings.
    """
    loudest = magnitudes.amax((1, 2), keepdim=True).clamp_min(1e-10)
    level_db = 20 * (magnitudes / loudest).clamp_min(1e-10).log10()
    return (1 + level_db / RANGE_DB).clamp_min(0)


@trainer(
    method="cnn-ibm",
    paper="Lin, Balamurali, Koh, Lui and Herremans 2018, Neural Comput. Appl., arXiv 1812.01278",
    assets=("cnn-ibm-speech",),
)
def train_cnn_ibm(
    start: Start,
    *,
    rate_hz: Annotated[int, Option("sample rate in Hz", 8000, 48000)] = 22050,
    window: Annotated[int, Option("of the spectrogram, in samples", 256, 8192)] = 1024,
    hop: Annotated[int, Option("between windows, in samples", 64, 4096)] = 512,
    filters: Annotated[str, Option("of the four convolutions")] = "16,8,32,16",
    pooling: Annotated[str, Option("bins made one, after the second and the fourth")] = "4,3",
    dense: Annotated[str, Option("units of the two hidden dense layers")] = "256,256",
    context: Annotated[int, Option("frames of a patch, odd", 1, 63)] = 9,
    detail: Annotated[int, Option("filters of the last convolution; 0: there is none", 0)] = 8,
    dropout: Annotated[float, Option("share of dense units forgotten at a step", 0, 0.9)] = 0.2,
) -> MaskLearner:
    """The CNN: convolutions and dense layers, trained on ideal binary masks.

    Weights to start from must have these sizes. The published network is ``--filters 32,16,64,32
    --pooling 12,12 --dense 2048,512 --detail 0``, about.
    """
    from methods._cnn_ibm_network import MaskNetwork

    framing = framing_to_train(rate_hz, window, hop)
    if not context % 2:
        raise Unavailable(f"context={context}: a patch has a middle frame; name an odd number")
    pools = _numbers("pooling", pooling, 2)
    if not (window // 2 + 1) // pools[0] // pools[1]:
        raise Unavailable(f"pooling={pooling!r}: of {window // 2 + 1} bins, none would be left")
    network = MaskNetwork(
        window // 2 + 1,
        _numbers("filters", filters, 4),
        pools,
        _numbers("dense", dense, 2),
        context,
        detail,
        dropout,
    )
    if start is not None:
        start_from(network, start if isinstance(start, Path) else _shipped_file(start))
    return MaskLearner(network, framing)


def _numbers(name: str, text: str, count: int) -> tuple[int, ...]:
    """So many whole numbers above 0, out of what the user wrote."""
    parts = text.replace(",", " ").split()
    if len(parts) != count or not all(part.isdecimal() and int(part) for part in parts):
        raise Unavailable(f"{name}={text!r}: name {count} whole numbers above 0, such as 16,8")
    return tuple(int(part) for part in parts)


def _shipped_file(folders: Mapping[str, Path]) -> Path:
    (folder,) = folders.values()
    return folder / "speech.safetensors"
