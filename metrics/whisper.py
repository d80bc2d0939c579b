"""Whisper as the judge of words: what does a recogniser understand of the separated voice?

Radford, Kim, Xu, Brockman, McLeavey and Sutskever 2022, "Robust speech recognition via large-scale
weak supervision", run by faster-whisper on CTranslate2 in 8-bit integers, on the CPU alone.

The same sound always gives the same words, on any number of threads: nothing is sampled, and no
window is told what the one before it said. Whisper's own remedy against repetition loops ("I
don't know, I don't know, ...") is to sample at higher temperatures, which draws lots; here such a
text is decoded once more with a penalty on repeated tokens instead. Beam search, not greedy: over
seven minutes of speech under music, babble and a second reader, a beam of 5 took a fifth more time
and made a fifth fewer word errors.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.contract import Audio, ContractError, Option, Unavailable, judge

BUNDLED_MODEL, BUNDLED_ASSET = "tiny.en", "whisper-tiny-en"
RATE_HZ = 16000
WINDOW_SECONDS = 30.0  # what the network sees at once
# Above this ratio of text to compressed text Whisper's authors call a text a repetition loop.
LOOP_COMPRESSION_RATIO = 2.4
LOOP_PENALTY = 1.1
NO_SPEECH_PROBABILITY, UNSURE_LOG_PROBABILITY = 0.6, -1.0
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # as in glibc's malloc.h
NEEDED_FILES = ("model.bin", "tokenizer.json")


def _load(assets: Mapping[str, Path], *, model: str, threads: int) -> Any:
    """A ``faster_whisper.WhisperModel``."""
    from faster_whisper import WhisperModel

    folder = assets[BUNDLED_ASSET] if model == BUNDLED_MODEL else _find_model(model)
    return WhisperModel(
        str(folder), device="cpu", compute_type="int8", cpu_threads=threads or _threads_allowed()
    )


def _together(
    tracks: Sequence[Audio],
    language: str,
    recogniser: Any,
    *,
    vad: bool,
    beam_size: int,
    **options: Any,
) -> list[str]:
    """The words of several tracks: those that fit into a window are decoded side by side.

    Each is still encoded in a window of its own, and writes what it would have written alone.
    """
    settings = {"vad": vad, "beam_size": beam_size, **options}
    fitting = [
        place
        for place, one in enumerate(tracks)
        if not vad and one.samples.any() and one.seconds < WINDOW_SECONDS
    ]
    texts: dict[int, str] = {}
    if language in recogniser.supported_languages and len(fitting) > 1:
        segments = _decode_together(
            recogniser, [tracks[place] for place in fitting], language, beam_size
        )
        for place, segment in zip(fitting, segments, strict=True):
            if segment.compression_ratio <= LOOP_COMPRESSION_RATIO:
                texts[place] = "" if _is_silence(segment) else segment.text.strip()
    return [
        texts[place] if place in texts else whisper.function(one, language, recogniser, **settings)
        for place, one in enumerate(tracks)
    ]


@judge(
    name="whisper",
    paper="Radford et al. 2022, Robust speech recognition via large-scale weak supervision",
    assets=(BUNDLED_ASSET,),
    load=_load,
    rate_hz=RATE_HZ,
    together=_together,
)
def whisper(
    audio: Audio,
    language: str,
    recogniser: Any,
    *,
    model: Annotated[
        str,
        Option(
            "a Whisper model: its name (tiny.en comes along, others are downloaded), "
            "OWNER/NAME on the Hugging Face Hub, or a folder with a CTranslate2 model"
        ),
    ] = BUNDLED_MODEL,
    beam_size: Annotated[int, Option("hypotheses kept while decoding; 1 is greedy", 1, 32)] = 5,
    vad: Annotated[bool, Option("listen only where Silero's detector finds speech")] = False,
    threads: Annotated[int, Option("CPU threads; 0: as OMP_NUM_THREADS says, else all", 0)] = 0,
) -> str:
    """Write down what Whisper hears.

    Args:
        audio: mono at 16 kHz, of any length. Up to 30 s are decoded in one go; longer ones by
            Whisper's own sliding window.
        language: of the speech, as a two-letter code.
        recogniser: what ``_load`` gave.

    Returns:
        The text as Whisper punctuates it; empty where it hears no speech, as in digital silence,
        of which the network itself is liable to say "you".

    Raises:
        Unavailable: the model does not know the language.
        ContractError: the sound is at another rate.
    """
    if audio.rate_hz != RATE_HZ:
        raise ContractError(f"Whisper listens at {RATE_HZ} Hz, not at {audio.rate_hz} Hz")
    if language not in recogniser.supported_languages:
        raise Unavailable(_unknown_language(model, language))
    if not audio.samples.any():
        return ""
    settings = {"language": language, "beam_size": beam_size, "vad_filter": vad}
    segments = _decode(recogniser, audio, settings)
    if any(segment.compression_ratio > LOOP_COMPRESSION_RATIO for segment in segments):
        segments = _decode(recogniser, audio, settings | {"repetition_penalty": LOOP_PENALTY})
    return " ".join(segment.text.strip() for segment in segments)


def _decode(recogniser: Any, audio: Audio, settings: Mapping[str, Any]) -> list[Any]:
    """The segments of one deterministic pass.

    Without timestamps tiny.en is faster and makes fewer errors, but can't slide its window.
    """
    with _large_blocks_kept():
        segments, _ = recogniser.transcribe(
            audio.mono(),
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=audio.seconds <= WINDOW_SECONDS,
            **settings,
        )
        return list(segments)


def _decode_together(
    recogniser: Any, tracks: Sequence[Audio], language: str, beam_size: int
) -> list[Any]:
    """One segment a track, as ``_decode`` without timestamps gives it, all in one batch.

    faster-whisper decodes the stretches of one recording in a batch: here each is a track, and
    begins with a window of its own.
    """
    from faster_whisper import BatchedInferencePipeline

    window = round(WINDOW_SECONDS * RATE_HZ)
    joined = np.zeros(window * len(tracks), dtype=np.float32)
    stretches = []
    for place, track in enumerate(tracks):
        joined[place * window : place * window + track.length] = track.mono()
        start = place * WINDOW_SECONDS
        # Half a sample more, since it cuts at the sample before.
        stretches.append({"start": start, "end": start + (track.length + 0.5) / RATE_HZ})
    with _large_blocks_kept():
        segments, _ = BatchedInferencePipeline(_EncodesApart(recogniser)).transcribe(
            joined,
            language=language,
            beam_size=beam_size,
            temperature=0.0,
            without_timestamps=True,
            vad_filter=False,
            clip_timestamps=stretches,
            batch_size=len(tracks),
        )
        return list(segments)


class _EncodesApart:
    """A recogniser that writes for several windows at once, but looks at each alone.

    Writing is cheaper together; the attention of several windows, in turn, fits into no cache.
    """

    def __init__(self, recogniser: Any) -> None:
        self._recogniser = recogniser

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recogniser, name)

    def encode(self, features: NDArray[np.float32]) -> Any:
        """The encoder's output of each window, as one batch."""
        from ctranslate2 import StorageView

        windows = [np.asarray(self._recogniser.encode(window)) for window in features]
        return StorageView.from_array(np.concatenate(windows))


@contextlib.contextmanager
def _large_blocks_kept() -> Iterator[None]:
    """Let the allocator keep the large blocks that the network frees for a moment.

    Attention over 30 s takes and frees 54 MB in each layer. By default glibc maps them anew each
    time, and the kernel clears each page: a third of the encoder's time. Afterwards its limits are
    those that it comes to by itself at most. Elsewhere than with glibc, nothing is done.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    except (AttributeError, OSError, TypeError):  # another C library
        yield
        return
    try:
        yield
    finally:
        libc.mallopt(M_MMAP_MAX, 65536)
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(M_TRIM_THRESHOLD, 64 << 20)
        libc.malloc_trim(0)


def _is_silence(segment: Any) -> bool:
    """Whisper's own rule for silence, which faster-whisper leaves out for stretches."""
    return bool(
        segment.no_speech_prob > NO_SPEECH_PROBABILITY
        and segment.avg_logprob <= UNSURE_LOG_PROBABILITY
    )


def _threads_allowed() -> int:
    """What OMP_NUM_THREADS grants (its first level), else every core."""
    granted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(granted) if granted.isdigit() and int(granted) > 0 else os.cpu_count() or 1


def _find_model(name: str) -> Path:
    """The folder of a model that does not come along: a local one, or one from the hub.

    Raises:
        Unavailable: no such model, or no way to get it.
    """
    from faster_whisper import available_models, download_model

    if Path(name).is_dir():
        return _complete(Path(name))
    if "/" not in name and name not in available_models():
        known = ", ".join(available_models())
        raise Unavailable(f"Whisper has no model {name!r}: name a folder or one of {known}")
    try:
        folder = download_model(name)
    except Exception as error:  # the hub's errors are of many families
        raise Unavailable(
            f"the Whisper model {name!r} is not here and could not be downloaded "
            f"({type(error).__name__}): go online for one run, or name its folder, "
            "-p whisper.model=FOLDER"
        ) from error
    return _complete(Path(folder))


def _complete(folder: Path) -> Path:
    missing = [name for name in NEEDED_FILES if not (folder / name).is_file()]
    if missing:
        raise Unavailable(
            f"{folder} holds no CTranslate2 model of Whisper: {' and '.join(missing)} missing; "
            "ct2-transformers-converter --copy_files tokenizer.json makes one"
        )
    return folder


def _unknown_language(model: str, language: str) -> str:
    if model.endswith(".en"):
        return (
            f"the Whisper model {model} knows English alone, not {language!r}: name one without "
            f".en, -p whisper.model={model.removesuffix('.en')}"
        )
    return f"the Whisper model {model} does not know the language {language!r}"
