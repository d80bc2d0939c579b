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

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from benchmarks.contract import Audio, ContractError, Option, Unavailable, judge

BUNDLED_MODEL, BUNDLED_ASSET = "tiny.en", "whisper-tiny-en"
RATE_HZ = 16000
WINDOW_SECONDS = 30.0  # what the network sees at once
# Above this ratio of text to compressed text Whisper's authors call a text a repetition loop.
LOOP_COMPRESSION_RATIO = 2.4
LOOP_PENALTY = 1.1
NEEDED_FILES = ("model.bin", "tokenizer.json")


def _load(assets: Mapping[str, Path], *, model: str, threads: int) -> Any:
    """A ``faster_whisper.WhisperModel``."""
    from faster_whisper import WhisperModel

    folder = assets[BUNDLED_ASSET] if model == BUNDLED_MODEL else _find_model(model)
    return WhisperModel(
        str(folder), device="cpu", compute_type="int8", cpu_threads=threads or _threads_allowed()
    )


@judge(
    name="whisper",
    paper="Radford et al. 2022, Robust speech recognition via large-scale weak supervision",
    assets=(BUNDLED_ASSET,),
    load=_load,
    rate_hz=RATE_HZ,
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
    segments, _ = recogniser.transcribe(
        audio.mono(),
        temperature=0.0,
        condition_on_previous_text=False,
        without_timestamps=audio.seconds <= WINDOW_SECONDS,
        **settings,
    )
    return list(segments)


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
