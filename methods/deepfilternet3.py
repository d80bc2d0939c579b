"""DeepFilterNet3: a small recurrent network cleans speech, band by band and bin by bin.

Schröter, Rosenkranz, Escalante-B. and Maier, "DeepFilterNet: perceptually motivated real-time
speech enhancement", Interspeech 2023; the two stages are those of "DeepFilterNet: a low complexity
speech enhancement framework for full-band audio based on deep filtering", ICASSP 2022, by the same.
The networks are the original ones, as ONNX graphs; what is around them is written anew here.

Frames of 20 ms at 48 kHz, half overlapping, are described to the networks twice: by the levels of
32 bands as wide as those of the ear (ERB), less their running means; and by the lowest 96 bins, up
to 4.8 kHz, each over the root of its running mean magnitude. The answer is a gain for each band,
and for each of the 96 bins a *deep filter*: five complex weights, over the frames from two before
to two after. Below 4.8 kHz the filter makes the output; above, the gains do.

The original's own runtime gives the same samples to 99 dB and more on all clips of the everyday
suite. It differs in silence: after 60 ms below -70 dBFS it stops, gives out zeros, and goes on
later from where it was; here the time runs on. And its post filter leaves out the last bin, 24 kHz.

Weak where it was not trained to help: it keeps speech, whoever speaks, and so a second talker, and
much of a singing voice. Where music is as loud as the speech, it takes parts of the speech away.
"""

from __future__ import annotations

import itertools
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Blocks, Clip, Estimate, Option, method

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Floats = NDArray[np.float32]
Spectrum = NDArray[np.complex64]  # (frames, bins)

RATE_HZ = 48000
WINDOW = 960
HOP = 480
BINS = WINDOW // 2 + 1
BANDS = 32
LEAST_BAND = 2  # bins
FILTERED = 96  # the lowest bins, which the deep filter makes
TAPS = 5  # frames under the deep filter
LOOKAHEAD = 2  # frames that are heard before an answer is given, and how far the filter looks ahead
KEEP = 0.99  # of a running mean, from one frame to the next: a time constant of one second
# What the running means are before the recording, from the lowest band or bin to the highest.
FIRST_LEVELS_DB = np.linspace(-60, -90, BANDS)
FIRST_MAGNITUDES = np.linspace(1e-3, 1e-4, FILTERED)
LEVELS_SCALE_DB = 40
LEAST_POWER, LEAST_MAGNITUDE = 1e-10, 1e-12
UNLIMITED_DB = 100.0
CORE_SECONDS, CONTEXT_SECONDS = 28, 32
GRAPHS = ("enc", "erb_dec", "df_dec")


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """The three graphs: what is common, the gains of the bands, the weights of the filter."""

    encoder: InferenceSession
    band_decoder: InferenceSession
    filter_decoder: InferenceSession

    def __call__(self, levels: Floats, bins: Spectrum) -> tuple[Floats, Spectrum]:
        """Gains and weights for each frame, from the features up to that frame.

        Args:
            levels: of the bands, normalised, shape ``(frames, 32)``.
            bins: the lowest ones, normalised, shape ``(frames, 96)``.

        Returns:
            Gains from 0 to 1, shape ``(frames, 32)``, and weights, shape ``(frames, 96, 5)``.
        """
        names = ["emb", "c0", "e0", "e1", "e2", "e3"]
        parts = np.stack([bins.real, bins.imag])
        features = {"feat_erb": levels[np.newaxis, np.newaxis], "feat_spec": parts[np.newaxis]}
        inner = dict(zip(names, self.encoder.run(names, features), strict=True))
        # The filter's input is the largest: what it alone needs is let go of before the gains.
        filtering = {"emb": inner["emb"], "c0": inner.pop("c0")}
        weights = self.filter_decoder.run(["coefs"], filtering)[0][0]
        del filtering
        gains = self.band_decoder.run(["m"], inner)[0][0, 0]
        return gains, weights.view(np.complex64)


def load(assets: Mapping[str, Path]) -> Networks:
    """The networks, out of the archive that they are published in."""
    graphs = graphs_of(assets["deepfilternet3"] / "DeepFilterNet3_onnx.tar.gz")
    return Networks(*(_session(graphs[name]) for name in GRAPHS))


def graphs_of(archive: Path) -> dict[str, bytes]:
    """The graphs by name, read in memory: nothing in the archive gets a place on the disk."""
    with tarfile.open(archive, "r:gz") as members:
        files = {name: members.extractfile(f"tmp/export/{name}.onnx") for name in GRAPHS}
        return {name: file.read() for name, file in files.items() if file is not None}


def blocks(_rate_hz: int) -> Blocks:
    """Half a minute at a time, after half a minute in which the networks come to their state.

    So the blocks are near the whole, not equal to it: what the networks remember fades slowly. The
    clips of the everyday suite, one after the other, came out as in the whole to 63 dB (52 to 76
    from core to core), but a reader, a telephone talk and a crowd on top of each other to 37 dB,
    which longer contexts did not mend. Longer blocks need more memory: these take 1.4 GB.
    """
    return Blocks(core=CORE_SECONDS * RATE_HZ, context=CONTEXT_SECONDS * RATE_HZ)


@method(
    family="learned",
    paper="Schröter et al. 2023, DeepFilterNet: perceptually motivated speech enhancement",
    assets=("deepfilternet3",),
    load=load,
    rate_hz=RATE_HZ,
    blocks=blocks,
)
def deepfilternet3(
    clip: Clip,
    networks: Networks,
    *,
    attenuation_limit_db: Annotated[
        float,
        Option("how far the background is lowered at most, in dB; 100: no limit", 0, 100),
    ] = UNLIMITED_DB,
    post_filter: Annotated[
        float,
        Option(
            "how much further faint cells are lowered (Valin et al. 2020); 0: not, 0.02: some", 0, 1
        ),
    ] = 0.0,
) -> Estimate:
    """A network trained on noisy speech lowers what is not speech, and filters what is.

    Each channel is cleaned by itself. The background is what the vocals leave of the mixture.
    """
    samples = clip.mixture.samples
    kept = 10 ** (-attenuation_limit_db / 20) if attenuation_limit_db < UNLIMITED_DB else 0.0
    vocals = np.stack([_enhanced(channel, networks, kept, post_filter) for channel in samples])
    return Estimate(clip.mixture.like(vocals), clip.mixture.like(samples - vocals))


def band_widths() -> list[int]:
    """How many bins each band has: equal steps on the ERB scale of Glasberg and Moore (1990).

    A band that would be narrower than two bins borrows from the next ones.
    """
    scale, step_hz = 24.7 * 9.265, RATE_HZ / WINDOW
    steps = np.arange(1, BANDS + 1) / BANDS * np.log1p(RATE_HZ / 2 / scale)
    edges = [0, *(round(hertz / step_hz) for hertz in scale * np.expm1(steps))]
    widths, borrowed = [], 0
    for low, high in itertools.pairwise(edges):
        width = max(high - low - borrowed, LEAST_BAND)
        borrowed += width - (high - low)
        widths.append(width)
    return [*widths[:-1], BINS - sum(widths[:-1])]


def _enhanced(channel: Floats, networks: Networks, kept: float, post_filter: float) -> Floats:
    """The speech of one channel; ``kept`` is the gain at which all the rest stays."""
    spectrum = _analyse(channel)
    gains, weights = networks(_levels(spectrum), _bins(spectrum))
    frames = len(spectrum) - LOOKAHEAD
    gains, weights = gains[LOOKAHEAD:], weights[LOOKAHEAD:]
    noisy = spectrum[:frames]
    clean = noisy * np.repeat(gains, band_widths(), axis=1)
    before = TAPS - 1 - LOOKAHEAD
    around = np.pad(spectrum[:, :FILTERED], ((before, 0), (0, 0)))
    clean[:, :FILTERED] = sum(weights[:, :, n] * around[n : n + frames] for n in range(TAPS))
    if post_filter:
        clean *= _post_filter(np.abs(noisy), np.abs(clean), post_filter)
    if kept:
        clean += kept * (noisy - clean)
    return _synthesise(clean, len(channel))


def _analyse(channel: Floats) -> Spectrum:
    """Frames around every 480th sample, and silent ones behind the end to look ahead into."""
    from scipy.fft import rfft

    frames = -(-len(channel) // HOP) + 1 + LOOKAHEAD
    padded = np.pad(channel, (HOP, frames * HOP - len(channel)))
    view = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    return np.asarray(rfft(view * _window(), norm="forward"))


def _synthesise(spectrum: Spectrum, length: int) -> Floats:
    from scipy.fft import irfft

    halves = (irfft(spectrum, WINDOW, norm="forward") * _window()).reshape(-1, 2, HOP)
    return np.asarray((halves[:-1, 1] + halves[1:, 0]).reshape(-1)[:length])


def _window() -> Floats:
    """The power-complementary window of the Vorbis codec."""
    phase = np.pi * (np.arange(WINDOW) + 0.5) / WINDOW
    return np.sin(np.pi / 2 * np.sin(phase) ** 2).astype(np.float32)


def _levels(spectrum: Spectrum) -> Floats:
    """The levels of the bands less their running means, normalised."""
    widths = np.array(band_widths())
    powers = np.square(spectrum.real) + np.square(spectrum.imag)
    means = np.add.reduceat(powers, np.cumsum(widths) - widths, axis=1) / widths
    levels = 10 * np.log10(means + LEAST_POWER)
    normalised = (levels - _running_mean(levels, FIRST_LEVELS_DB)) / LEVELS_SCALE_DB
    return np.asarray(normalised, dtype=np.float32)


def _bins(spectrum: Spectrum) -> Spectrum:
    """The lowest bins over the roots of their running mean magnitudes."""
    lowest = spectrum[:, :FILTERED]
    means = _running_mean(np.abs(lowest), FIRST_MAGNITUDES)
    return np.asarray(lowest / np.sqrt(np.maximum(means, LEAST_MAGNITUDE)), dtype=np.complex64)


def _running_mean(values: Floats, first: NDArray[np.float64]) -> NDArray[np.float64]:
    """The exponential running mean down the frames, each frame in its own."""
    from scipy.signal import lfilter

    return np.asarray(lfilter([1 - KEEP], [1, -KEEP], values, axis=0, zi=KEEP * first[None])[0])


def _post_filter(noisy: Floats, clean: Floats, strength: float) -> Floats:
    """A gain that is 1 where nothing was removed and falls where much was (Valin et al. 2020)."""
    gain = np.clip(clean / np.maximum(noisy, LEAST_MAGNITUDE), LEAST_MAGNITUDE, 1)
    steepness = np.sin(np.pi / 2 * gain) ** -2
    return np.asarray((1 + strength) / (1 + strength * steepness))


def _session(graph: bytes) -> InferenceSession:
    """A graph ready to run on one thread, which leaves no memory with the runtime afterwards."""
    from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    # The last level lays the images out anew: that takes more memory and saves no time.
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    return InferenceSession(graph, options, providers=["CPUExecutionProvider"])
