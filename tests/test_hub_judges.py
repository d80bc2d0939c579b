"""The judges of the hub: tiny models really loaded and decoded, and what is said without one."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import assets
from benchmarks.contract import Audio, ContractError, Judge, Unavailable
from benchmarks.options import parse_options
from metrics.hub_asr import hub_asr
from metrics.wav2vec2 import wav2vec2
from tests.tiny_recognisers import LETTERS, save_ctc, save_whisper

RATE_HZ = 16000
BOTH = pytest.mark.parametrize("judge", [wav2vec2, hub_asr], ids=lambda judge: judge.name)


@pytest.fixture(scope="module")
def ctc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_ctc(tmp_path_factory.mktemp("models") / "owner" / "tiny-ctc")


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = assets.path("whisper-tiny-en") / "tokenizer.json"
    return save_whisper(tmp_path_factory.mktemp("models") / "writer", tokenizer)


def warble(seconds: float = 2.0, rate_hz: int = RATE_HZ) -> Audio:
    time = np.arange(round(seconds * rate_hz))
    noise = np.random.default_rng(0).standard_normal(time.size)
    return Audio.of(0.1 * noise * np.sin(time / 3000), rate_hz)


def load(judge: Judge, folder: Path | str) -> Any:
    return judge.load_model({}, {"model": str(folder)})


def heard(judge: Judge, model: Any, audio: Audio, language: str = "en", **options: str) -> str:
    (text,) = judge.hear([audio], language, model=model, options=parse_options(judge, options))
    return text


def greedy(folder: Path, audio: Audio) -> str:
    """CTC as its paper has it: the likeliest sign a frame, repeats merged, blanks dropped."""
    from transformers import Wav2Vec2ForCTC

    model: Any = Wav2Vec2ForCTC.from_pretrained(folder).eval()
    samples = audio.mono().astype(np.float64)
    scaled = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    with torch.inference_mode():
        logits = model(torch.tensor(scaled, dtype=torch.float32)[None]).logits[0]
    signs = [sign for sign, _ in itertools.groupby(logits.argmax(dim=-1).tolist())]
    names = ["", "<s>", "</s>", "<unk>", *LETTERS]
    return "".join(names[sign] for sign in signs).replace("|", " ").strip()


@BOTH
def test_a_ctc_model_writes_the_likeliest_letters(judge: Judge, ctc: Path) -> None:
    text = heard(judge, load(judge, ctc), warble())
    assert text == greedy(ctc, warble())
    assert len(set(text)) > 5


def test_the_same_sound_gives_the_same_words_and_another_model_others(
    ctc: Path, tmp_path: Path
) -> None:
    text = heard(wav2vec2, load(wav2vec2, ctc), warble())
    assert text == heard(wav2vec2, load(wav2vec2, ctc), warble())
    assert text != heard(wav2vec2, load(wav2vec2, save_ctc(tmp_path, seed=1)), warble())


def test_long_sound_is_heard_to_its_end(ctc: Path) -> None:
    model = load(wav2vec2, ctc)
    short, long = (heard(wav2vec2, model, warble(seconds)) for seconds in (20.0, 60.0))
    assert len(long) == pytest.approx(3 * len(short), rel=0.1)


@BOTH
def test_silence_holds_no_words_and_a_moment_is_no_trouble(judge: Judge, ctc: Path) -> None:
    model = load(judge, ctc)
    for length in (0, 1, 16000):
        assert heard(judge, model, Audio.of(np.zeros(length), RATE_HZ)) == ""
    for length in (1, 100, 399):
        heard(judge, model, Audio.of(np.full(length, 0.1), RATE_HZ))


@BOTH
def test_sound_at_another_rate_is_refused(judge: Judge, ctc: Path) -> None:
    with pytest.raises(ContractError, match="16000 Hz, not at 8000 Hz"):
        heard(judge, load(judge, ctc), warble(rate_hz=8000))


@pytest.mark.parametrize("seconds", [2.0, 31.0])
def test_a_model_that_writes_word_after_word_is_a_judge_too(writer: Path, seconds: float) -> None:
    model = load(hub_asr, writer)
    text = heard(hub_asr, model, warble(seconds))
    assert text and text == heard(hub_asr, model, warble(seconds))


def test_the_ctc_judge_sends_other_models_to_the_other_judge(writer: Path) -> None:
    with pytest.raises(Unavailable, match=r"no CTC model.*-p hub-asr\.model="):
        load(wav2vec2, writer)


def test_a_model_of_another_language_is_unavailable(ctc: Path) -> None:
    model = load(wav2vec2, ctc)
    with pytest.raises(Unavailable, match=r"writes 'en', not 'de'.*model_language=de"):
        heard(wav2vec2, model, warble(), language="de")
    for language in ("de", "any"):
        assert heard(wav2vec2, model, warble(), language="de", model_language=language)


# Without a model


@BOTH
def test_a_model_that_is_not_here_is_unavailable_with_its_one_command(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*given: Any, **more: Any) -> None:
        raise AssertionError("the network was tried")

    monkeypatch.setattr("socket.socket.connect", no_network)
    with pytest.raises(Unavailable, match=r"run: hf download nobody/nothing$"):
        judge.checkpoint(parse_options(judge, {"model": "nobody/nothing"}))


def test_a_model_in_the_cache_of_the_hub_is_found(
    ctc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = tmp_path / "models--owner--tiny-ctc"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("abc123")
    shutil.copytree(ctc, cached / "snapshots" / "abc123")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = wav2vec2.checkpoint(parse_options(wav2vec2, {"model": "owner/tiny-ctc"}))
    assert found == cached / "snapshots" / "abc123"
    assert heard(wav2vec2, load(wav2vec2, "owner/tiny-ctc"), warble()) == greedy(ctc, warble())


@pytest.mark.parametrize("name", ["", "a/b/c", "--"])
def test_what_can_be_no_name_is_said_to_be_none(name: str) -> None:
    with pytest.raises(Unavailable, match="neither a folder nor OWNER/NAME"):
        wav2vec2.checkpoint(parse_options(wav2vec2, {"model": name}))


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_a_folder_without_a_whole_model_is_unavailable(
    ctc: Path, tmp_path: Path, lost: str
) -> None:
    shutil.copytree(ctc, tmp_path / "model")
    (tmp_path / "model" / lost).unlink()
    with pytest.raises(Unavailable, match="no whole model"):
        load(wav2vec2, tmp_path / "model")


def test_damaged_weights_are_unavailable_in_one_line(ctc: Path, tmp_path: Path) -> None:
    shutil.copytree(ctc, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(Unavailable, match="can't be loaded") as caught:
        load(wav2vec2, tmp_path / "model")
    assert "\n" not in str(caught.value)


def test_a_model_fresh_from_pretraining_is_no_judge(tmp_path: Path) -> None:
    """Its letters would be drawn by lot at every start."""
    with pytest.raises(Unavailable, match="not trained to write down words: it has no lm_head"):
        load(wav2vec2, save_ctc(tmp_path, words=False))


def test_code_that_comes_with_a_model_is_not_run(ctc: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(ctc, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.Own", "AutoModelForCTC": "own.Own"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(Unavailable):
        load(wav2vec2, folder)
    assert not (tmp_path / "ran").exists()
