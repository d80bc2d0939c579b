"""Speech recognisers of the Hugging Face Hub: found on this machine, loaded, and listened through.

Nothing is downloaded while a benchmark runs, and the network is not even tried: a model is a folder
or it is in the hub's cache, and otherwise one command says how it gets there. No code that comes
with a model is run. Recognisers with a CTC head are decoded greedily; the others, which write one
word after the other as Whisper does, by their own default without sampling. So the same sound
always gives the same words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contract import Audio, ContractError, Unavailable

RATE_HZ = 16000
PACKAGES = ("transformers",)
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
# A network of convolutions needs a few frames of 25 ms to say anything at all.
SHORTEST_SAMPLES = RATE_HZ // 10
# Attention grows with the square of the length: longer sound is heard in overlapping windows.
WINDOW_SECONDS, OVERLAP_SECONDS = 30.0, 5.0
# Only training reads it; checkpoints often come without.
UNUSED_WEIGHTS = ("masked_spec_embed",)


def find_checkpoint(model: str) -> Path:
    """The folder of a model: a local one, or the one in the hub's cache. Quick, and offline.

    Raises:
        Unavailable: it is neither; the message has the command that brings it.
    """
    folder = Path(model) if model and Path(model).is_dir() else _cached(model)
    if folder is None:
        raise Unavailable(f"the model {model} is not on this machine; run: hf download {model}")
    if not (folder / "config.json").is_file() or not any(map(any, map(folder.glob, WEIGHTS))):
        raise Unavailable(
            f"{folder} holds no whole model of transformers: config.json or the weights are "
            "missing; download it again, or save one with save_pretrained"
        )
    return folder


def load_recogniser(folder: Path) -> Any:
    """A transformers pipeline for the model in a folder, on the CPU.

    Raises:
        Unavailable: the model there is no recogniser of speech, or lacks some of its weights.
    """
    from safetensors import SafetensorError
    from transformers import AutoFeatureExtractor, AutoTokenizer, pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, report = _model_class(folder).from_pretrained(
            folder, local_files_only=True, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        line = " ".join(str(error).split())
        raise Unavailable(f"the model in {folder} can't be loaded: {line}") from error
    made_up = [name for name in report["missing_keys"] if not name.endswith(UNUSED_WEIGHTS)]
    if made_up:
        raise Unavailable(
            f"the model in {folder} was not trained to write down words: it has no "
            f"{sorted(made_up)[0]}; name one that was"
        )
    return pipeline(
        "automatic-speech-recognition",
        model=model.eval(),
        tokenizer=tokenizer,
        feature_extractor=extractor,
        device="cpu",
    )


def words_heard(recogniser: Any, audio: Audio, language: str) -> str:
    """What a recogniser hears in mono sound at 16 kHz of any length; nothing in digital silence.

    Raises:
        ContractError: the sound is at another rate.
    """
    if audio.rate_hz != RATE_HZ:
        raise ContractError(f"this judge listens at {RATE_HZ} Hz, not at {audio.rate_hz} Hz")
    if not audio.samples.any():
        return ""
    samples = audio.mono()
    samples = np.pad(samples, (0, max(SHORTEST_SAMPLES - samples.size, 0)))
    heard = recogniser(
        {"raw": samples, "sampling_rate": RATE_HZ}, **_settings(recogniser, audio, language)
    )
    text: str = heard["text"]
    return text.strip()


def _settings(recogniser: Any, audio: Audio, language: str) -> dict[str, Any]:
    """What a recogniser is told: how to hear long sound, and the language where it asks for it."""
    if recogniser.type == "ctc":
        return {"chunk_length_s": WINDOW_SECONDS, "stride_length_s": OVERLAP_SECONDS}
    told: dict[str, Any] = {"do_sample": False}
    if getattr(recogniser.model.generation_config, "is_multilingual", False):
        told |= {"language": language, "task": "transcribe"}
    # Whisper slides its window over long sound by its own timestamps.
    longer = recogniser.type == "seq2seq_whisper" and audio.seconds > WINDOW_SECONDS
    return (
        {"generate_kwargs": told, "return_timestamps": True}
        if longer
        else {"generate_kwargs": told}
    )


def _model_class(folder: Path) -> Any:
    from transformers import AutoConfig, AutoModelForCTC, AutoModelForSpeechSeq2Seq
    from transformers.models.auto.modeling_auto import MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    writes = type(config) in MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING
    return AutoModelForSpeechSeq2Seq if writes else AutoModelForCTC


def _cached(model: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(model, "config.json")
    except HFValidationError as error:
        raise Unavailable(
            f"{model!r} is neither a folder nor OWNER/NAME on the Hugging Face Hub"
        ) from error
    return Path(config).parent if isinstance(config, str) else None
