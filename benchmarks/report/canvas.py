"""Figures measured in pixels, and saved as small PNG files.

They are drawn without pyplot, so that nothing global is touched.
"""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 100
WIDTH = 1000  # pixels, about what GitHub shows
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"  # Okabe and Ito's, told apart by all eyes


def blank(height: int) -> Figure:
    """A white figure, ``WIDTH`` by ``height`` pixels."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor="white")


def place(figure: Figure, left: int, top: int, width: int, height: int) -> Axes:
    """Axes at whole pixels from the top left corner, so that a picture's cells fall on pixels."""
    across, down = (round(side * DPI) for side in figure.get_size_inches())
    bottom = down - top - height
    return figure.add_axes((left / across, bottom / down, width / across, height / down))


def drawable(name: str, otherwise: str) -> str:
    """The name, if the font that comes with matplotlib can draw it."""
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return name if all(ord(letter) in font.get_charmap() for letter in name) else otherwise


def png(figure: Figure) -> bytes:
    """The figure as a PNG of about a hundred colours; the same figure gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = cast(Any, FigureCanvasAgg)(figure)
    canvas.draw()
    pixels = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])
    image = Image.fromarray(pixels).quantize(palette=_palette(), dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


@functools.lru_cache(maxsize=1)
def _palette() -> Any:
    """A picture that holds the palette: the map's colours, greys, and our colours on white."""
    import matplotlib
    from matplotlib.colors import to_rgb
    from PIL import Image

    fade = np.linspace(0, 1, 16)[:, None]
    magma = matplotlib.colormaps["magma"](np.linspace(0, 1, 48))[:, :3]
    inks = [fade * np.array(to_rgb(ink)) + 1 - fade for ink in ("black", BLUE, ORANGE)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.round(255 * np.concatenate([magma, *inks])).astype(np.uint8).tobytes())
    return palette
