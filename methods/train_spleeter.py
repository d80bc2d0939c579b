"""Fine-tuning Spleeter: its network of the vocals learns what the voice is in data of one's own.

Hennequin, Khlif, Voituret and Moussallam, "Spleeter: a fast and efficient music source separation
tool with pre-trained models", Journal of Open Source Software 5(50), 2154, 2020. The network of the
accompaniment stays as it was published, and takes part in the masks, here as in use.

The original let each network meet the magnitudes of its own stem (``loss`` "magnitudes"). That does
not say what the mask makes of both: where the accompaniment was never learnt, as in a crowd, its
network finds little, and the voice's estimate must become far smaller than what is really there.
So by default the loss is the error of the masked mixture itself. On 24 mixtures of talkers, music,
noises and other voices that it had not heard, the original gained 0.2 dB of SI-SDR in the mean;
after 60 and 100 steps by the error 3.1 and 2.6 dB, and by magnitudes 2.5 and 2.0 dB, both at 3e-4.

The statistics of the normalisations and the dropout of the paper stay out, as they did when the
original was trained: its checkpoints have a mean of 0 and a variance of 1 in every layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from benchmarks.contract import Option
from benchmarks.learning import Learner, Start, trainer
from methods import spleeter as used
from methods._spleeter_weights import arrays_of, tuned_arrays

if TYPE_CHECKING:
    from torch import Tensor

    from methods._spleeter_network import SpleeterNetwork

ASSET = "spleeter-2stems"
FRAMES = 256
MULTIPLE = 64  # of which the network's numbers of frames must be
OVERLAP = used.WINDOW // used.HOP
MASK_POWER = 2.0  # by default, in use
# An error that is as far below the mixture is as good as none, or silence could be infinitely bad.
FLOOR = 1e-3
SILENCE = 1e-6


class SpleeterLearner(Learner):
    """The network of the vocals, beside that of the accompaniment, which does not learn.

    An excerpt of 5.9 s is 256 frames, half of what the networks see at a time in use.
    """

    network: SpleeterNetwork
    rate_hz = used.RATE_HZ
    channels = 2
    excerpt_seconds = (FRAMES - OVERLAP) * used.HOP / used.RATE_HZ
    batch = 2
    learning_rate = 3e-4

    def __init__(self, network: SpleeterNetwork, accompaniment: SpleeterNetwork, loss: str) -> None:
        self.network = network
        self._accompaniment = accompaniment.requires_grad_(False).eval()
        self._distance = _masked_error_db if loss == "error" else _distance_of_magnitudes

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        heard, wanted = _segments(mixture), _segments(target)
        vocals = self.network(heard.abs())
        return self._distance(vocals, heard, wanted, self._accompaniment.to(mixture.device))

    def estimate(self, mixture: Tensor) -> Tensor:
        """What the method makes of it, with its default options."""
        import torch

        networks = [_on(mixture.device, each) for each in (self.network, self._accompaniment)]
        vocals = [
            used.separated_stereo(stereo.cpu().numpy(), networks, MASK_POWER, "zeros")[0]
            for stereo in mixture
        ]
        return torch.stack(vocals).to(mixture.device)

    def settings(self) -> dict[str, Any]:
        return {}


@trainer(
    method="spleeter",
    paper="Hennequin et al. 2020, Spleeter, JOSS 5(50), 2154",
    assets=(ASSET,),
)
def train_spleeter(
    start: Start,
    *,
    loss: Annotated[
        Literal["error", "magnitudes"],
        Option(
            "what becomes small: the error of what the method gives out, in dB; or, as in the "
            "original, the distance of the vocals' magnitudes from those of the network"
        ),
    ] = "error",
    dropout: Annotated[
        float, Option("share of its deepest activations that the network forgets", 0, 0.9)
    ] = 0.0,
) -> SpleeterLearner:
    """Spleeter's network of the vocals; that of the accompaniment stays as it is.

    Begin from ``pretrained``, or from a model that was tuned before.
    """
    from benchmarks import assets
    from methods._spleeter_network import SpleeterNetwork

    published = start if isinstance(start, Mapping) else {ASSET: assets.path(ASSET)}
    rest = arrays_of(published[ASSET] / "accompaniment.ckpt")
    network = SpleeterNetwork(dropout)
    if isinstance(start, Mapping):
        network.read(arrays_of(start[ASSET] / "vocals.ckpt"))
    elif start is not None:
        network.read(tuned_arrays(start, alike=rest))
    return SpleeterLearner(network, SpleeterNetwork().read(rest), loss)


def _segments(sound: Tensor) -> Tensor:
    """The spectra that the network sees in use, ``(segments of all, 2, frames, 1024)``, complex."""
    import torch

    frames = -(-(sound.shape[-1] + used.WINDOW) // used.HOP)
    whole = MULTIPLE if frames <= used.SEGMENT_FRAMES else used.SEGMENT_FRAMES
    frames = -(-frames // whole) * whole
    silence = (used.WINDOW, (frames - 1) * used.HOP - sound.shape[-1])
    windows = torch.nn.functional.pad(sound, silence).unfold(-1, used.WINDOW, used.HOP)
    analysis = torch.hann_window(used.WINDOW, device=sound.device)
    spectrum = torch.fft.rfft(windows * analysis)[..., : used.BINS]
    parts: Tensor = spectrum.unflatten(2, (-1, min(frames, used.SEGMENT_FRAMES)))
    return parts.transpose(1, 2).flatten(0, 1)


def _masked_error_db(
    vocals: Tensor, heard: Tensor, wanted: Tensor, accompaniment: SpleeterNetwork
) -> Tensor:
    """Power of the masked mixture's error over that of the target, the mean of all segments.

    Where the target is silent, the power of what is left of the mixture, over its floor.
    """
    import torch

    with torch.no_grad():
        rest = accompaniment(heard.abs()) ** MASK_POWER
    share = vocals**MASK_POWER
    mask = (share + used.MASK_EPSILON / 2) / (share + rest + used.MASK_EPSILON)
    floor = FLOOR * _power(heard) + SILENCE
    return (
        10 * torch.log10((_power(mask * heard - wanted) + floor) / (_power(wanted) + floor)).mean()
    )


def _distance_of_magnitudes(
    vocals: Tensor, heard: Tensor, wanted: Tensor, accompaniment: SpleeterNetwork
) -> Tensor:
    return (vocals - wanted.abs()).abs().mean()


def _power(spectrum: Tensor) -> Tensor:
    """Of each segment."""
    import torch

    return torch.view_as_real(spectrum).square().sum((1, 2, 3, 4))


def _on(device: Any, network: SpleeterNetwork) -> Callable[[Tensor], Tensor]:
    """The network on a device, called from the CPU."""
    there = network.to(device)
    return lambda magnitudes: there(magnitudes.to(device)).cpu()
