"""The Whisper judge: known words, the same words every time, and what it does when it can't."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import assets
from benchmarks.contract import Audio, ContractError, EditCounts, Unavailable
from benchmarks.media import read_audio
from benchmarks.options import parse_options
from metrics.whisper import _threads_allowed, whisper
from metrics.words import wer

RATE_HZ = 16000
DICKENS = """
It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of
foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of
Light, it was the season of Darkness, it was the spring of hope, it was the winter of despair, we
had everything before us, we had nothing before us, we were all going direct to Heaven, we were all
going direct the other way - in short, the period was so far like the present period, that some of
its noisiest authorities insisted on its being received, for good or for evil, in the superlative
degree of comparison only.
"""
RAINBOW = """
The difference in the rainbow depends considerably upon the size of the drops, and the width of the
colored band increases as the size of the drops increases.
"""


def recording(asset: str, file: str) -> Audio:
    audio = read_audio(assets.path(asset) / file, rate_hz=RATE_HZ)
    return Audio.of(audio.mono(), RATE_HZ)


@functools.cache
def loaded(threads: int = 1, model: str = "tiny.en") -> Any:
    folders = {name: assets.path(name) for name in whisper.assets}
    return whisper.load_model(folders, {"model": model, "threads": threads})


def heard(audio: Audio, recogniser: Any = None, language: str = "en", **options: Any) -> str:
    recogniser = loaded() if recogniser is None else recogniser
    text = whisper.function(audio, language, recogniser, **options)
    assert isinstance(text, str)
    return text


def errors_per_word(transcript: str, hypothesis: str) -> float:
    counts = wer.function(transcript, hypothesis, "en")
    assert isinstance(counts, EditCounts)
    assert isinstance(counts.rate, float)
    return counts.rate


def tone(seconds: float = 1.0, rate_hz: int = RATE_HZ) -> Audio:
    return Audio.of(0.1 * np.sin(0.2 * np.arange(int(seconds * rate_hz))), rate_hz)


def noise_like(audio: Audio) -> np.ndarray:
    return 0.01 * np.random.default_rng(1).standard_normal(audio.samples.shape)


@dataclass
class Segment:
    text: str
    compression_ratio: float = 1.0
    no_speech_prob: float = 0.0
    avg_logprob: float = 0.0


@dataclass
class Scripted:
    """A recogniser that says what a test wants and remembers how it was asked."""

    answer: Callable[[dict[str, Any]], list[Segment]]
    supported_languages: tuple[str, ...] = ("en",)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def transcribe(self, samples: np.ndarray, **settings: Any) -> tuple[list[Segment], None]:
        assert samples.ndim == 1 and samples.dtype == np.float32
        self.asked.append(settings)
        return self.answer(settings), None


@pytest.mark.slow
def test_a_real_reading_of_45_seconds_gives_its_words() -> None:
    text = heard(recording("recording-two-cities", "two_cities.wav"))
    assert errors_per_word(DICKENS, text) < 0.03


def test_a_real_sentence_gives_its_words_whatever_its_level() -> None:
    audio = recording("recording-sentences", "town.flac")
    for gain in (1.0, 0.01):
        text = heard(audio.like(gain * audio.samples))
        assert errors_per_word(RAINBOW, text) < 0.05


def test_the_words_are_the_same_on_one_thread_and_on_two() -> None:
    audio = recording("recording-sentences", "country.flac")
    noisy = audio.like(audio.samples + noise_like(audio))
    assert heard(noisy) == heard(noisy) == heard(noisy, loaded(threads=2))


@pytest.mark.slow
def test_another_process_hears_the_same_words() -> None:
    program = (
        "from tests.test_whisper import heard, recording;"
        "print(heard(recording('recording-sentences', 'country.flac')))"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == heard(recording("recording-sentences", "country.flac"))


def test_a_model_named_by_its_folder_hears_what_the_same_one_named_by_name_does() -> None:
    audio = recording("recording-sentences", "main.flac")
    by_folder = loaded(model=str(assets.path("whisper-tiny-en")))
    assert heard(audio, by_folder) == heard(audio)


def test_the_detector_of_speech_finds_none_in_a_tone() -> None:
    assert heard(tone(3.0), vad=True) == ""


def test_digital_silence_and_no_sound_hold_no_words() -> None:
    asked_for_nothing = Scripted(lambda settings: [Segment("You")])
    for length in (0, 1, 160_000):
        assert heard(Audio.of(np.zeros(length), RATE_HZ), asked_for_nothing) == ""
    assert not asked_for_nothing.asked


@pytest.mark.parametrize("length", [1, 100, 800])
def test_a_moment_of_sound_is_no_trouble(length: int) -> None:
    heard(Audio.of(np.full(length, 0.1), RATE_HZ))


def test_nothing_is_sampled_and_no_window_hears_of_another() -> None:
    recogniser = Scripted(lambda settings: [Segment(" Turn left. "), Segment(" Then right.")])
    assert heard(tone(), recogniser, beam_size=3) == "Turn left. Then right."
    (settings,) = recogniser.asked
    assert settings["temperature"] == 0.0
    assert settings["condition_on_previous_text"] is False
    assert settings["beam_size"] == 3


def test_long_sound_is_left_to_the_sliding_window() -> None:
    recogniser = Scripted(lambda settings: [])
    for seconds in (30.0, 30.1):
        heard(tone(seconds), recogniser)
    assert [settings["without_timestamps"] for settings in recogniser.asked] == [True, False]


def test_a_repetition_loop_is_decoded_again_with_a_penalty() -> None:
    def answer(settings: dict[str, Any]) -> list[Segment]:
        if settings.get("repetition_penalty", 1.0) > 1.0:
            return [Segment("I don't know.", 1.1)]
        return [Segment("I don't know, " * 40, 20.0)]

    recogniser = Scripted(answer)
    assert heard(tone(), recogniser) == "I don't know."
    assert len(recogniser.asked) == 2


def test_ordinary_words_are_decoded_once() -> None:
    recogniser = Scripted(lambda settings: [Segment("It was the age of wisdom", 2.38)])
    heard(tone(), recogniser)
    assert len(recogniser.asked) == 1


def test_a_language_that_the_model_lacks_makes_it_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"knows English alone, not 'de'.*whisper\.model=tiny"):
        heard(tone(), Scripted(lambda settings: []), language="de")
    with pytest.raises(Unavailable, match="does not know the language 'xx'"):
        heard(tone(), Scripted(lambda settings: []), language="xx", model="small")


def test_sound_at_another_rate_is_refused() -> None:
    with pytest.raises(ContractError, match="16000 Hz, not at 44100 Hz"):
        heard(tone(rate_hz=44100), Scripted(lambda settings: []))


def test_an_unknown_model_is_unavailable_and_the_known_are_named() -> None:
    with pytest.raises(Unavailable, match=r"no model 'enormous'.*base\.en"):
        loaded(model="enormous")


def test_a_folder_without_a_model_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    with pytest.raises(Unavailable, match=r"tokenizer\.json missing"):
        loaded(model=str(tmp_path))


def test_a_model_that_cannot_be_downloaded_is_unavailable_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_network(name: str) -> str:
        raise ConnectionError(f"no route to {name}\nand more lines")

    monkeypatch.setattr("faster_whisper.download_model", no_network)
    with pytest.raises(Unavailable, match="could not be downloaded") as caught:
        loaded(model="base.en")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("granted", "threads"), [("1", 1), ("3,1", 3)])
def test_the_threads_are_those_that_openmp_is_granted(
    monkeypatch: pytest.MonkeyPatch, granted: str, threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", granted)
    assert _threads_allowed() == threads


def test_its_options_have_defaults_that_load_understands() -> None:
    options = parse_options(whisper, {"model": "small", "vad": "yes"})
    assert options == {"model": "small", "beam_size": 5, "vad": True, "threads": 0}


# Several tracks at once


def together(tracks: list[Audio], language: str = "en", **options: Any) -> list[str]:
    settings = parse_options(whisper, {name: str(value) for name, value in options.items()})
    return whisper.hear(tracks, language, model=loaded(), options=settings)


def test_tracks_heard_together_say_what_they_say_alone() -> None:
    country = recording("recording-sentences", "country.flac")
    noisy = country.like(country.samples + 5 * noise_like(country))
    tracks = [country, tone(0.0), noisy, tone(0.05), country.like(0 * country.samples)]
    words = together(tracks)
    assert words == [heard(track) for track in tracks]
    assert words[0] and not words[1]


def test_long_tracks_and_loops_are_heard_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def segments(recogniser: Any, tracks: list[Audio], language: str, beam: int) -> list[Segment]:
        asked.extend(track.seconds for track in tracks)
        return [Segment("Turn left."), Segment("no no " * 40, 20.0)]

    monkeypatch.setattr("metrics.whisper._decode_together", segments)
    recogniser = Scripted(lambda settings: [Segment("alone")])
    tracks = [tone(1.0), tone(31.0), tone(2.0)]
    options = parse_options(whisper, {})
    words = whisper.hear(tracks, "en", model=recogniser, options=options)
    assert words == ["Turn left.", "alone", "alone"]
    assert asked == [1.0, 2.0]


def test_what_whisper_takes_for_silence_is_no_text_together_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unsure = Segment("Thank you.", no_speech_prob=0.9, avg_logprob=-1.5)
    sure = Segment("Thank you.", no_speech_prob=0.9, avg_logprob=-0.5)
    monkeypatch.setattr("metrics.whisper._decode_together", lambda *given: [unsure, sure])
    options = parse_options(whisper, {})
    recogniser = Scripted(lambda settings: [])
    words = whisper.hear([tone(), tone()], "en", model=recogniser, options=options)
    assert words == ["", "Thank you."]


def test_an_unknown_language_is_unavailable_together_too() -> None:
    with pytest.raises(Unavailable, match="knows English alone"):
        together([tone(), tone()], language="de")
