"""Pickled weights, read without running any code that they may carry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.catalogue import AssetError


def load_pickle(file: Path, allow: Sequence[Any] = ()) -> Any:
    """Weights out of a PyTorch checkpoint, on the CPU, without running any code in it.

    Args:
        file: the checkpoint, whose tensors and plain containers need no permission.
        allow: what else it may name: classes, functions, or pairs of these and the name that the
            checkpoint has for them. See :func:`numpy_arrays`.

    Raises:
        AssetError: when it needs anything else, or is no checkpoint.
    """
    import torch

    try:
        with torch.serialization.safe_globals(list(allow)):
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise AssetError(f"{file}: checkpoint not opened: {error.strerror}") from None
    except Exception as error:  # on damaged bytes PyTorch raises whatever it stumbles over
        # Its own message for a refusal advises to load without the guard; it is not passed on.
        needs = re.search(r"GLOBAL (\S+)", str(error))
        why = f"needs {needs[1]}, which is not allowed" if needs else "can't be read as weights"
        raise AssetError(f"{file}: checkpoint refused: it {why}") from None


def numpy_arrays() -> list[Any]:
    """What a checkpoint of float32 NumPy arrays names, for ``allow`` of :func:`load_pickle`.

    These make arrays and nothing else.
    """
    import numpy as np

    reconstruct = np.empty(0).__reduce__()[0]
    return [
        (reconstruct, "numpy.core.multiarray._reconstruct"),  # its name before NumPy 2
        reconstruct,
        np.ndarray,
        np.dtype,
        type(np.dtype(np.float32)),
    ]
