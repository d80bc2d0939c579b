"""Spectrograms of a clip: mixture, truth and each method, on the same axes and one scale."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, Estimate
from benchmarks.report.canvas import WIDTH, blank, place
from benchmarks.summary import CLEAN, FLOOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RANGE_DB = 70.0
LONGEST_SECONDS = 30.0
TOP_HZ = 16000.0
WINDOW_SECONDS = 0.046

_CELL = 2  # each time-frequency cell is 2 by 2 pixels: half the file, and as much to see
_PANEL_WIDTH, _PANEL_HEIGHT = 420, 112
_ROW_HEIGHT, _LEFT, _GAP, _TOP, _BOTTOM = 142, 62, 22, 8, 44
_TICKS_HZ = (500, 1000, 2000, 4000, 8000, 16000)
_LEGEND = (
    "left: the voice; right: everything else\n"
    "one scale of colours and of frequency (mel) for all\n"
    "in grey: this clip's scores"
)


@dataclass(frozen=True, slots=True)
class ClipTracks:
    """The sound of one clip: what was given, what is true, and what each method made of it."""

    mixture: Audio
    speech: Audio | None
    background: Audio | None
    estimates: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Panel:
    """One spectrogram: its place (row, column), its name and a score to write beside it."""

    row: int
    column: int
    name: str
    audio: Audio
    score: str = ""


def panels(
    tracks: ClipTracks, methods: Sequence[str], scores: Mapping[tuple[str, str], str]
) -> list[Panel]:
    """What to draw: the mixture, the truth, and each method's vocals and background.

    Args:
        tracks: the sound of the clip.
        methods: the methods in their order; ``mixture`` and ``clean`` are drawn already.
        scores: by method and target (``vocals``, ``background``), what to write at the panel.
    """
    found = [Panel(0, 0, "mixture", tracks.mixture, scores.get((FLOOR, "vocals"), ""))]
    truth = (("true speech", tracks.speech), ("true background", tracks.background))
    found += [
        Panel(1, column, name, audio)
        for column, (name, audio) in enumerate(truth)
        if audio is not None
    ]
    row = found[-1].row + 1
    for method in methods:
        estimate = tracks.estimates.get(method)
        if method in (FLOOR, CLEAN) or estimate is None:
            continue
        for column, target in enumerate(("vocals", "background")):
            audio, score = getattr(estimate, target), scores.get((method, target), "")
            found.append(Panel(row, column, f"{method}: {target}", audio, score))
        row += 1
    return found


def spectrograms(found: Sequence[Panel]) -> Figure:
    """All panels of a clip with shared axes and one scale in dB below the mixture's peak.

    At most the middle 30 seconds are drawn.
    """
    rows = 1 + max(panel.row for panel in found)
    height = _TOP + rows * _ROW_HEIGHT + _BOTTOM
    figure = blank(height)
    mixture = found[0].audio
    start, stop = _excerpt(mixture)
    powers = [band_powers(panel.audio, start, stop) for panel in found]
    peak = float(powers[0].max()) or 1.0
    seconds = start / mixture.rate_hz, stop / mixture.rate_hz
    lowest = {
        column: max(panel.row for panel in found if panel.column == column)
        for column in {panel.column for panel in found}
    }
    image = None
    for panel, power in zip(found, powers, strict=True):
        left = _LEFT + panel.column * (_PANEL_WIDTH + _GAP)
        top = _TOP + panel.row * _ROW_HEIGHT + _ROW_HEIGHT - _PANEL_HEIGHT
        axes = place(figure, left, top, _PANEL_WIDTH, _PANEL_HEIGHT)
        levels_db = 10 * np.log10(np.maximum(power / peak, 1e-12))
        image = axes.imshow(
            levels_db,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap="magma",
            vmin=-RANGE_DB,
            vmax=0.0,
            extent=(*seconds, 0.0, float(power.shape[0])),
        )
        _dress(axes, panel, mixture.rate_hz, with_time=panel.row == lowest[panel.column])
    _colour_bar(figure, image, height)
    right, middle = _LEFT + _PANEL_WIDTH + _GAP, _TOP + _ROW_HEIGHT - _PANEL_HEIGHT // 2
    across, down = right / WIDTH, 1 - middle / height
    figure.text(across, down, _LEGEND, fontsize=9, color="#444444", va="center", linespacing=1.6)
    return figure


def band_powers(audio: Audio, start: int, stop: int) -> NDArray[np.float64]:
    """Mean power in mel bands, one column for every two pixels of a panel's width.

    Args:
        audio: any number of channels; their powers are averaged.
        start: the first sample to show.
        stop: the sample after the last.

    Returns:
        shape ``(bands, columns)``; frames of 46 ms, so many to a column that none is skipped.
    """
    columns = _PANEL_WIDTH // _CELL
    size = _window(audio.rate_hz)
    per_column = max(1, math.ceil((stop - start) / columns / (size / 2)))
    count = columns * per_column
    padded = np.pad(audio.cut(start, stop).samples, ((0, 0), (size // 2, size // 2 + 1)))
    places = ((np.arange(count) + 0.5) * (stop - start) / count).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, places]
    spectra = np.fft.rfft(frames * np.hanning(size), axis=-1)
    power = np.mean(np.abs(spectra) ** 2, axis=0)
    bands = _bands(audio.rate_hz) @ power.T
    return np.asarray(bands.reshape(bands.shape[0], columns, per_column).mean(axis=2))


def _excerpt(audio: Audio) -> tuple[int, int]:
    """First and last sample of what is shown: all, or the middle of a long recording."""
    longest = int(LONGEST_SECONDS * audio.rate_hz)
    start = max(0, (audio.length - longest) // 2)
    return start, min(audio.length, start + longest)


def _window(rate_hz: int) -> int:
    return int(2 ** round(math.log2(max(WINDOW_SECONDS * rate_hz, 16))))


@functools.lru_cache(maxsize=4)
def _bands(rate_hz: int) -> NDArray[np.float64]:
    """Mel filters that average the power in each band."""
    import librosa

    size = _window(rate_hz)
    filters = librosa.filters.mel(
        sr=rate_hz,
        n_fft=size,
        n_mels=_PANEL_HEIGHT // _CELL,
        fmax=_top_hz(rate_hz),
        htk=True,
        norm=1,
        dtype=np.float64,
    )
    return np.asarray(filters, dtype=np.float64)


def _top_hz(rate_hz: int) -> float:
    return min(rate_hz / 2, TOP_HZ)


def _mel(hz: float) -> float:
    """The mel scale of HTK: 2595 log10(1 + f / 700)."""
    return 2595 * math.log10(1 + hz / 700)


def _dress(axes: Axes, panel: Panel, rate_hz: int, *, with_time: bool) -> None:
    """Names, scores and ticks."""
    text: dict[str, Any] = {"parse_math": False, "fontsize": 10, "pad": 4}
    axes.set_title(panel.name, loc="left", **text)
    axes.set_title(panel.score, loc="right", color="#444444", **text)
    top = _top_hz(rate_hz)
    ticks = [hz for hz in _TICKS_HZ if hz <= top]
    bands = _PANEL_HEIGHT // _CELL
    axes.set_yticks([_mel(hz) / _mel(top) * bands for hz in ticks])
    labels = [f"{hz / 1000:g}" for hz in ticks] if panel.column == 0 else []
    axes.set_yticklabels(labels or [""] * len(ticks), fontsize=8)
    axes.tick_params(length=2, width=0.6, labelsize=8, labelbottom=with_time)
    for side in axes.spines.values():
        side.set_visible(False)
    if panel.column == 0:
        axes.set_ylabel("kHz", fontsize=8, labelpad=2)
    if with_time:
        axes.set_xlabel("seconds", fontsize=8, labelpad=2)


def _colour_bar(figure: Figure, image: Any, height: int) -> None:
    left = _LEFT + 2 * _PANEL_WIDTH + _GAP + 16
    top = _TOP + _ROW_HEIGHT - _PANEL_HEIGHT
    axes = place(figure, left, top, 12, height - top - _BOTTOM)
    bar = figure.colorbar(image, cax=axes)
    bar.set_label("dB relative to the mixture's peak", fontsize=8, labelpad=2)
    bar.ax.tick_params(labelsize=8, length=2, width=0.6)
    cast(Any, bar.outline).set_visible(False)
