"""Any other speech recogniser of the Hugging Face Hub as a judge of words, by its name.

Whatever transformers can load for "automatic-speech-recognition": models that write one word after
the other (Whisper, Moonshine, Speech2Text, ...) and those with a CTC head (HuBERT, MMS, ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from benchmarks.contract import Audio, Option, judge
from metrics._hub import PACKAGES, RATE_HZ, find_checkpoint, load_recogniser, words_heard

DEFAULT_MODEL = "openai/whisper-base"


def _find(*, model: str) -> Path:
    return find_checkpoint(model)


def _load(assets: Mapping[str, Path], *, model: str) -> Any:
    """A transformers pipeline."""
    return load_recogniser(find_checkpoint(model))


@judge(name="hub-asr", packages=PACKAGES, find=_find, load=_load, rate_hz=RATE_HZ)
def hub_asr(
    audio: Audio,
    language: str,
    recogniser: Any,
    *,
    model: Annotated[
        str, Option("a speech recogniser: OWNER/NAME on the Hugging Face Hub, or a folder of one")
    ] = DEFAULT_MODEL,
) -> str:
    """Write down what a speech recogniser of the Hugging Face Hub hears.

    A model of several languages is told which one is spoken; one of a single language writes that
    one, and it is up to whoever names it that the clips are in it.

    Args:
        audio: mono at 16 kHz. Models with a CTC head and Whisper hear any length; others may stop
            at the end of what they were trained on.
        language: of the speech, as a two-letter code.
        recogniser: what ``_load`` gave.

    Returns:
        The text as the model writes it; empty for digital silence.

    Raises:
        ContractError: the sound is at another rate.
    """
    return words_heard(recogniser, audio, language)
