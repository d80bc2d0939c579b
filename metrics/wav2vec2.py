"""Wav2Vec2 as a second judge of words: letters from sound alone, without a language model.

Baevski, Zhou, Mohamed and Auli 2020, "wav2vec 2.0: a framework for self-supervised learning of
speech representations", fine-tuned with CTC on 960 hours of LibriSpeech, run by transformers on
PyTorch. It errs in another way than Whisper: it spells what it hears and invents no sentences, but
it guesses no word from its neighbours either, and knows clean read speech best. Where the two agree
about methods, the order hangs on neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from benchmarks.contract import Audio, Option, Unavailable, judge
from metrics._hub import PACKAGES, RATE_HZ, find_checkpoint, load_recogniser, words_heard

DEFAULT_MODEL = "facebook/wav2vec2-base-960h"


def _find(*, model: str) -> Path:
    return find_checkpoint(model)


def _load(assets: Mapping[str, Path], *, model: str) -> Any:
    """A transformers pipeline around a model with a CTC head."""
    recogniser = load_recogniser(find_checkpoint(model))
    if recogniser.type != "ctc":
        raise Unavailable(
            f"{model} is no CTC model; the judge hub-asr takes it, -p hub-asr.model={model}"
        )
    return recogniser


@judge(
    name="wav2vec2",
    paper="Baevski et al. 2020, wav2vec 2.0: self-supervised learning of speech representations",
    packages=PACKAGES,
    find=_find,
    load=_load,
    rate_hz=RATE_HZ,
)
def wav2vec2(
    audio: Audio,
    language: str,
    recogniser: Any,
    *,
    model: Annotated[
        str, Option("a CTC model: OWNER/NAME on the Hugging Face Hub, or a folder of one")
    ] = DEFAULT_MODEL,
    model_language: Annotated[
        str, Option("the language it was trained to write, as a two-letter code; any: every one")
    ] = "en",
) -> str:
    """Write down what Wav2Vec2, or another CTC model, hears.

    Args:
        audio: mono at 16 kHz, of any length; what is longer than 30 s is heard in windows that
            overlap by 5 s at each end.
        language: of the speech, as a two-letter code.
        recogniser: what ``_load`` gave.

    Returns:
        The text in the model's own alphabet; empty for digital silence.

    Raises:
        Unavailable: the model writes another language than the one spoken.
        ContractError: the sound is at another rate.
    """
    if model_language not in ("any", language):
        raise Unavailable(
            f"{model} writes {model_language!r}, not {language!r}: name one that does, "
            f"-p wav2vec2.model=OWNER/NAME -p wav2vec2.model_language={language}"
        )
    return words_heard(recogniser, audio, language)
