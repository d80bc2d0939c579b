"""The picture of a built clip: a card with its scenario, its title and a waveform that plays.

The fonts are those that come with matplotlib, so a card looks the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 854, 480
FRAMES_PER_SECOND = 12

BACKDROP = ((24, 27, 36), (37, 41, 54))  # top, bottom
INK, QUIET_INK, UNPLAYED = (240, 241, 245), (150, 156, 172), (78, 84, 102)
ACCENTS = ((95, 199, 164), (247, 178, 91), (236, 116, 124), (122, 162, 247), (187, 154, 247))
KNOWN_SCENARIOS = ("simple", "music", "crowd")

MARGIN = 56
WAVE_TOP, WAVE_BOTTOM = 236, 404
BAR, GAP = 4, 3


def frames(scenario: str, title: str, audio: Audio) -> Iterator[NDArray[np.uint8]]:
    """The frames of a clip's card, each ``(HEIGHT, WIDTH, 3)`` and uint8, for all its seconds."""
    from PIL import ImageDraw

    heights = _bar_heights(audio)
    accent = _accent(scenario)
    card = _card(scenario, title, heights, accent)
    for number in range(int(np.ceil(audio.seconds * FRAMES_PER_SECOND))):
        seconds = number / FRAMES_PER_SECOND
        frame = card.copy()
        pen = ImageDraw.Draw(frame)
        _play(pen, heights, accent, seconds / audio.seconds)
        _clock(pen, seconds, audio.seconds)
        yield np.asarray(frame)


def _accent(scenario: str) -> tuple[int, int, int]:
    known = KNOWN_SCENARIOS.index(scenario) if scenario in KNOWN_SCENARIOS else len(scenario)
    return ACCENTS[known % len(ACCENTS)]


def _card(
    scenario: str, title: str, heights: NDArray[np.float64], accent: tuple[int, int, int]
) -> Image.Image:
    """All that doesn't move."""
    from PIL import Image, ImageDraw

    top, bottom = np.array(BACKDROP, dtype=np.float64)
    shade = np.linspace(top, bottom, HEIGHT)[:, None]
    card = Image.fromarray(np.repeat(shade, WIDTH, axis=1).astype(np.uint8))
    pen = ImageDraw.Draw(card)
    small, large = _font(20, bold=True), _font(38, bold=True)
    label = scenario.upper()
    right = MARGIN + 32 + pen.textlength(label, font=small)
    pen.rounded_rectangle((MARGIN, 48, right, 84), radius=18, fill=accent)
    pen.text((MARGIN + 16, 66), label, font=small, fill=BACKDROP[0], anchor="lm")
    for number, line in enumerate(_lines(pen, title, WIDTH - 2 * MARGIN)):
        pen.text((MARGIN, 130 + 48 * number), line, font=large, fill=INK, anchor="lm")
    _bars(pen, heights, 0, len(heights), UNPLAYED)
    return card


def _lines(pen: ImageDraw.ImageDraw, title: str, width: int) -> list[str]:
    """The title in at most two lines that fit; what is too much ends in an ellipsis."""
    large = _font(38, bold=True)
    lines = [""]
    for word in title.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and pen.textlength(longer, font=large) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines if len(lines) <= 2 else [lines[0], lines[1] + " …"]


def _bar_heights(audio: Audio) -> NDArray[np.float64]:
    """The loudness along the clip, one bar a slice, from 0 to 1."""
    count = (WIDTH - 2 * MARGIN + GAP) // (BAR + GAP)
    slices = np.array_split(audio.mono().astype(np.float64), count)
    power = np.array([np.mean(part**2) if len(part) else 0.0 for part in slices])
    return np.asarray((power / max(power.max(), 1e-18)) ** 0.35)


def _bars(
    pen: ImageDraw.ImageDraw,
    heights: NDArray[np.float64],
    start: int,
    stop: int,
    colour: tuple[int, int, int],
) -> None:
    middle, reach = (WAVE_TOP + WAVE_BOTTOM) / 2, (WAVE_BOTTOM - WAVE_TOP) / 2
    for number in range(start, stop):
        left = MARGIN + number * (BAR + GAP)
        half = max(2.0, reach * heights[number])
        box = (left, middle - half, left + BAR - 1, middle + half)
        pen.rounded_rectangle(box, radius=2, fill=colour)


def _play(
    pen: ImageDraw.ImageDraw,
    heights: NDArray[np.float64],
    accent: tuple[int, int, int],
    share: float,
) -> None:
    """The bars played so far, and the line where the sound is now."""
    _bars(pen, heights, 0, int(share * len(heights)), accent)
    now = MARGIN + share * (WIDTH - 2 * MARGIN)
    pen.line((now, WAVE_TOP - 10, now, WAVE_BOTTOM + 10), fill=INK, width=2)
    pen.ellipse((now - 5, WAVE_TOP - 15, now + 5, WAVE_TOP - 5), fill=INK)


def _clock(pen: ImageDraw.ImageDraw, seconds: float, total_seconds: float) -> None:
    small = _font(20)
    pen.text((MARGIN, 442), f"{seconds:.1f} s", font=small, fill=INK, anchor="lm")
    right = WIDTH - MARGIN
    pen.text((right, 442), f"{total_seconds:.1f} s", font=small, fill=QUIET_INK, anchor="rm")


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)
