"""DNSMOS: what listeners would say of the voice, as networks have learnt it from listeners.

No truth is needed. Two small networks by Microsoft were trained on thousands of noisy and cleaned
recordings and what people said of them, as means of opinions from 1 (bad) to 5 (excellent): one for
ITU-T P.808 (one question: how good is it?), one for P.835 (three: the speech itself, the
background, the whole). They hear 16 kHz mono, 9.01 s at a time, a second apart; a shorter recording
is repeated. What is around the networks is written anew here, after their authors' own.

It differs in one place. There a rounding error leaves out every piece that begins 7 to 23 s into
the recording (and 119 to 122 s), so that of half a minute two thirds are not heard; here all are.
Up to 16 s, the scores of the ``speechmos`` package and these are the same.

The networks have heard noise suppressors, not separators: they know what hiss and clipped words
sound like, and like a clean voice, whoever speaks. Of 12 s of audio the one for P.808 takes 0.05 s,
and the one for P.835 0.9 s, on one core; of a minute 0.8 s and 22 s.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.polynomial import Polynomial

from benchmarks.contract import Audio, ContractError, Noted, Samples, Undefined, metric
from metrics._listening import resampled

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

RATE_HZ = 16000
PIECE = 144160  # samples: 9.01 s
HOP = RATE_HZ
LEAST_SECONDS = 1.0  # less of it, repeated nine times and more, is no speech any more
# From what the network gives to the scale of opinions, as its authors fitted it to listeners.
SIG = Polynomial([0.0052439, 1.22083953, -0.08397278])
BAK = Polynomial([-0.39604546, 1.60915514, -0.13166888])
OVRL = Polynomial([0.04602535, 1.11546468, -0.06766283])
# The spectrogram that the network for P.808 sees.
MEL_WINDOW, MEL_HOP, MEL_BANDS, MEL_RANGE_DB = 321, 160, 120, 40.0

ASSET = "dnsmos"
P808 = "Reddy, Gopal and Cutler 2021, DNSMOS: a non-intrusive perceptual objective speech metric"
P835 = "Reddy, Gopal and Cutler 2022, DNSMOS P.835: a non-intrusive perceptual speech metric"
COSTLY = "it takes 0.1 x real time, and 0.4 x where recordings are long"


class Opinions(NamedTuple):
    """Means of opinions, from 1 to 5: of the speech, of the background, of the whole."""

    sig: float
    bak: float
    ovrl: float


@dataclass(frozen=True, slots=True, eq=False)
class PanelP835:
    """The network with the three answers, which keeps its latest: they are asked one by one."""

    network: InferenceSession
    latest: dict[bytes, Opinions] = field(default_factory=dict)

    def __call__(self, voice: Samples) -> Opinions:
        """The opinions of a voice at 16 kHz, shape ``(samples,)``."""
        heard = hashlib.sha256(voice.tobytes()).digest()
        if heard not in self.latest:
            answers = [
                self.network.run(None, {"input_1": piece[np.newaxis]})[0][0]
                for piece in _pieces(voice)
            ]
            of_each = np.array(answers, dtype=np.float64).T
            means = (fit(raw).mean() for fit, raw in zip((SIG, BAK, OVRL), of_each, strict=True))
            self.latest.clear()
            self.latest[heard] = Opinions(*map(float, means))
        return self.latest[heard]


@dataclass(frozen=True, slots=True, eq=False)
class PanelP808:
    """The network with one answer."""

    network: InferenceSession

    def __call__(self, voice: Samples) -> float:
        """The opinion of a voice at 16 kHz, shape ``(samples,)``."""
        answers = [
            self.network.run(None, {"input_1": _mel_spectrogram(piece)[np.newaxis]})[0][0, 0]
            for piece in _pieces(voice)
        ]
        return float(np.mean(answers))


def load_p835(assets: Mapping[str, Path]) -> PanelP835:
    """The network for P.835, kept for the life of the process."""
    return PanelP835(_session(assets[ASSET] / "p835.onnx"))


def load_p808(assets: Mapping[str, Path]) -> PanelP808:
    """The network for P.808, kept for the life of the process."""
    return PanelP808(_session(assets[ASSET] / "p808.onnx"))


@metric(
    name="dnsmos-p808",
    unit="MOS",
    better="higher",
    targets=("vocals",),
    assets=(ASSET,),
    load=load_p808,
    paper=P808,
)
def dnsmos_p808(estimate: Audio, panel: PanelP808) -> float | Noted | Undefined:
    """How good the voice sounds, as listeners would rate it by ITU-T P.808.

    Args:
        estimate: the method's vocals, shape ``(channels, samples)``; their mean is heard, as the
            judges of words hear it, and what is above full scale is clipped.
        panel: what ``load_p808`` gave.

    Returns:
        A mean opinion from 1 to 5; clean speech gets about 4. Undefined for a silent estimate and
        for less than a second.

    Raises:
        ContractError: samples are NaN or infinite.
    """
    return _opinion(estimate, panel)


_of_p835 = functools.partial(
    metric,
    unit="MOS",
    better="higher",
    targets=("vocals",),
    assets=(ASSET,),
    load=load_p835,
    paper=P835,
    opt_in=COSTLY,
)


@_of_p835(name="dnsmos-sig")
def dnsmos_sig(estimate: Audio, panel: PanelP835) -> float | Noted | Undefined:
    """How undistorted the speech itself sounds, as listeners would rate it by ITU-T P.835.

    Arguments, result and errors are those of ``dnsmos-p808``.
    """
    return _opinion(estimate, lambda voice: panel(voice).sig)


@_of_p835(name="dnsmos-bak")
def dnsmos_bak(estimate: Audio, panel: PanelP835) -> float | Noted | Undefined:
    """How little the background disturbs, as listeners would rate it by ITU-T P.835.

    Arguments, result and errors are those of ``dnsmos-p808``.
    """
    return _opinion(estimate, lambda voice: panel(voice).bak)


@_of_p835(name="dnsmos-ovrl")
def dnsmos_ovrl(estimate: Audio, panel: PanelP835) -> float | Noted | Undefined:
    """How good the whole sounds, as listeners would rate it by ITU-T P.835.

    Arguments, result and errors are those of ``dnsmos-p808``.
    """
    return _opinion(estimate, lambda voice: panel(voice).ovrl)


def _opinion(estimate: Audio, ask: Callable[[Samples], float]) -> float | Noted | Undefined:
    if not np.isfinite(estimate.samples).all():
        raise ContractError("the estimate holds NaN or infinite samples; mend what wrote it")
    if estimate.seconds < LEAST_SECONDS:
        return Undefined("less than a second")
    clipped = int(np.count_nonzero(np.abs(estimate.samples) > 1.0))
    mono = estimate.like(estimate.samples.clip(-1, 1)).mono()
    voice = resampled(mono.astype(np.float64), estimate.rate_hz, RATE_HZ)
    heard = voice.clip(-1, 1).astype(np.float32)
    if not heard.any():
        return Undefined("silent estimate")
    score = ask(heard)
    return Noted(score, f"{clipped} samples above full scale were clipped") if clipped else score


def _pieces(voice: Samples) -> Iterator[Samples]:
    """9.01 s at a time, a second apart; up to 2 s at the end may not fill one, as originally."""
    while voice.size < PIECE:
        voice = np.tile(voice, 2)
    for place in range(max(voice.size // HOP - PIECE // HOP, 1)):
        yield voice[place * HOP : place * HOP + PIECE]


def _mel_spectrogram(piece: Samples) -> Samples:
    """Levels of 120 mel bands, 0 at 40 dB below the loudest and 1 at it, shape ``(900, 120)``."""
    import librosa

    power = librosa.feature.melspectrogram(
        y=piece[:-MEL_HOP], sr=RATE_HZ, n_fft=MEL_WINDOW, hop_length=MEL_HOP, n_mels=MEL_BANDS
    )
    levels_db = librosa.power_to_db(power, ref=np.max)
    return np.asarray((levels_db.T + MEL_RANGE_DB) / MEL_RANGE_DB, dtype=np.float32)


def _session(graph: Path) -> InferenceSession:
    """A graph ready to run on one thread, which leaves no memory with the runtime afterwards."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    return InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
