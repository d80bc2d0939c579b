"""Runs the original Spleeter; started by another process, under a Python that has it.

    PYTHON -I spleeter_original.py model WEIGHTS.npz FOLDER
    PYTHON -I spleeter_original.py separate FOLDER MIXTURE.npy TRACKS.npy REPEATS

``-I`` keeps this folder, where another ``spleeter.py`` lies, out of the imports. This file imports
nothing of the project, since TensorFlow 2.12 and the project can't share an environment. Make one
with Python 3.8 to 3.11 (2.4 GB):

    python3.11 -m venv peer && peer/bin/pip install spleeter==2.4.2

``model`` builds the original's own graph, puts the arrays of the two checkpoints into its
variables, which are created in the same order, and saves it where Spleeter looks for a model.
``separate`` then calls ``Separator.separate`` as any user would: padding, STFT, networks, masks and
inverse STFT are the original's, untouched.
"""

# mypy: disable-error-code="import-not-found, import-untyped"
from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np


def build_model(weights: Path, folder: Path) -> None:
    """Save the weights, arrays in the order of their number, as the model ``folder/2stems``."""
    import tensorflow as tf
    from spleeter.model import EstimatorSpecBuilder, InputProviderFactory
    from spleeter.utils.configuration import load_configuration

    archive = np.load(weights)
    arrays = [archive[name] for name in sorted(archive.files)]
    settings = load_configuration("spleeter:2stems")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        inputs = InputProviderFactory.get(settings).get_input_dict_placeholders()
        EstimatorSpecBuilder(inputs, settings).build_predict_model()
        step = tf.compat.v1.train.get_or_create_global_step()
        variables = [v for v in tf.compat.v1.global_variables() if v is not step]
        if len(variables) != len(arrays):
            raise ValueError(f"{len(arrays)} arrays for {len(variables)} variables")
        session.run(step.initializer)
        for variable, array in zip(variables, arrays):  # noqa: B905  (Python 3.8 has no strict=)
            # Kernels: (out, in, rows, columns) there, (rows, columns, in, out) here; transposed
            # convolutions have in and out the other way round in both.
            variable.load(array.transpose(2, 3, 1, 0) if array.ndim == 4 else array, session)
        (folder / "2stems").mkdir(parents=True, exist_ok=True)
        tf.compat.v1.train.Saver().save(session, str(folder / "2stems" / "model"))
    (folder / "2stems" / ".probe").write_text("OK")


def separate(folder: Path, mixture: Path, tracks: Path, repeats: int) -> None:
    """Separate ``(2, samples)``, save ``(tracks, 2, samples)``, then do it again ``repeats`` times.

    Prints a line when the tracks are written, and at the end the seconds of each repeat in JSON.
    """
    os.environ["MODEL_PATH"] = str(folder)
    from spleeter.separator import Separator

    separator = Separator("spleeter:2stems", multiprocess=False)
    waveform = np.load(mixture).T
    found = separator.separate(waveform)
    np.save(tracks, np.stack([found["vocals"].T, found["accompaniment"].T]))
    print("first tracks written", flush=True)
    again = []
    for _ in range(repeats):
        begun = time.perf_counter()
        separator.separate(waveform)
        again.append(time.perf_counter() - begun)
    print(json.dumps(again))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if sys.argv[1] == "model":
        build_model(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        separate(Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
