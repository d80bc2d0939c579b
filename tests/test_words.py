"""Word and character error rates: the normaliser, the counts, the alignment, and two peers."""

from __future__ import annotations

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from benchmarks.contract import EditCounts, Undefined
from metrics.words import (
    align,
    cer,
    invented_words,
    normalised_words,
    normaliser_version,
    wer,
)

# Words that the normaliser leaves alone, so that the peers see what we see.
PLAIN = st.lists(st.sampled_from(["tin", "box", "river", "gate", "dog", "salt"]), max_size=12)


def count_words(transcript: str, hypothesis: str, language: str = "en") -> EditCounts:
    counts = wer.function(transcript, hypothesis, language)
    assert isinstance(counts, EditCounts)
    return counts


def count_characters(transcript: str, hypothesis: str, language: str = "en") -> EditCounts:
    counts = cer.function(transcript, hypothesis, language)
    assert isinstance(counts, EditCounts)
    return counts


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("Turn left, then right!", "turn left then right"),
        ("Um, I uh think so.", "I think so"),
        ("twenty-five litres", "25 liters"),
        ("a hundred and twenty three", "a 123"),
        ("Mr. Smith and Dr. Jones", "mister Smith and doctor Jones"),
        ("the colour of the theatre", "the color of the theater"),
        ("I don't know, it's late", "I do not know, it is late"),
        ("I don’t know, it’s late", "I don't know, it's late"),
        ("I'm gonna go", "I am going to go"),
        ("the third door", "the 3rd door"),
        ("five percent of $20", "5% of twenty dollars"),
        ("And then...", "and then"),
        ("Yes. (laughs) No. [music]", "yes no"),
        ("a café", "A CAFE"),
    ],
)
def test_what_is_the_same_to_a_listener_is_no_error_in_english(said: str, heard: str) -> None:
    assert count_words(said, heard).errors == 0
    assert count_characters(said, heard).errors == 0


def test_what_differs_to_a_listener_stays_an_error() -> None:
    for said, heard in (("fifteen", "50"), ("he can", "he can't"), ("affect", "effect")):
        assert count_words(said, heard).errors > 0


def test_counts_of_a_known_example() -> None:
    counts = count_words("the old blue gate by the river", "so the cold blue gate by river")
    assert counts == EditCounts(substitutions=1, deletions=1, insertions=1, reference_units=7)
    assert counts.rate == pytest.approx(3 / 7)


def test_a_space_is_a_character() -> None:
    assert count_characters("every day", "everyday") == EditCounts(0, 1, 0, 9)


def test_an_empty_transcript_counts_what_was_invented() -> None:
    counts = count_words("(silence)", "thank you very much")
    assert counts == EditCounts(0, 0, 4, 0)
    assert isinstance(counts.rate, Undefined)
    assert count_characters("", "you") == EditCounts(0, 0, 3, 0)


def test_an_empty_hypothesis_misses_every_word() -> None:
    assert count_words("turn left here", "") == EditCounts(0, 3, 0, 3)
    assert count_words("", "") == EditCounts(0, 0, 0, 0)


@pytest.mark.parametrize("language", ["zh", "ja", "th"])
def test_languages_without_spaces_count_characters(language: str) -> None:
    assert count_words("今日は天気", "今日は電気", language) == EditCounts(1, 0, 0, 5)
    assert count_characters("今日は天気", "今日は電気", language) == EditCounts(1, 0, 0, 5)


def test_other_languages_keep_their_accents_and_vowel_signs() -> None:
    assert normalised_words("Das ist SCHÖN, nicht?", "de") == ("das", "ist", "schön", "nicht")
    assert normalised_words("हिन्दी में", "hi") == ("हिन्दी", "में")
    assert count_words("schön", "schon", "de").errors == 1


def test_a_region_does_not_change_the_language() -> None:
    assert normalised_words("Colour", "en-GB") == normalised_words("color", "en")


@given(PLAIN, PLAIN)
def test_counts_agree_with_jiwer_and_rapidfuzz(said: list[str], heard: list[str]) -> None:
    counts = count_words(" ".join(said), " ".join(heard))
    assert counts.errors == Levenshtein.distance(said, heard)
    assert counts.reference_units == len(said)
    if said:
        assert counts.rate == pytest.approx(jiwer.wer(" ".join(said), " ".join(heard)))
        assert count_characters(" ".join(said), " ".join(heard)).rate == pytest.approx(
            jiwer.cer(" ".join(said), " ".join(heard))
        )


@given(PLAIN, PLAIN)
def test_counts_keep_their_bounds(said: list[str], heard: list[str]) -> None:
    counts = count_words(" ".join(said), " ".join(heard))
    assert abs(len(said) - len(heard)) <= counts.errors <= max(len(said), len(heard))
    assert counts.insertions - counts.deletions == len(heard) - len(said)
    assert counts.errors == count_words(" ".join(heard), " ".join(said)).errors


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["en", "de", "ja", "hi"]))
def test_any_text_at_all_can_be_counted(said: str, heard: str, language: str) -> None:
    for counts in (count_words(said, heard, language), count_characters(said, heard, language)):
        assert min(counts.substitutions, counts.deletions, counts.insertions) >= 0
        assert counts.substitutions + counts.deletions <= counts.reference_units
    assert count_words(said, said, language).errors == 0


@given(PLAIN, PLAIN)
def test_the_alignment_is_what_was_counted(said: list[str], heard: list[str]) -> None:
    steps = align(" ".join(said), " ".join(heard), "en")
    assert [step.reference for step in steps if step.reference] == said
    assert [step.hypothesis for step in steps if step.hypothesis] == heard
    counts = count_words(" ".join(said), " ".join(heard))
    for name, count in (
        ("substitute", counts.substitutions),
        ("delete", counts.deletions),
        ("insert", counts.insertions),
    ):
        assert sum(step.step == name for step in steps) == count
    for step in steps:
        assert (step.step == "equal") == (step.reference == step.hypothesis)
        assert (step.step == "insert") == (not step.reference)
        assert (step.step == "delete") == (not step.hypothesis)


def test_the_receipt_can_name_the_normaliser() -> None:
    assert normaliser_version().startswith("whisper-normalizer 0.")


@pytest.mark.parametrize(
    ("heard", "seconds", "rate"), [("Thank you, 25 thanks.", 6.0, 40.0), ("...", 6.0, 0.0)]
)
def test_invented_words_are_counted_by_the_minute(heard: str, seconds: float, rate: float) -> None:
    assert invented_words.function(heard, seconds, "en") == pytest.approx(rate)


@pytest.mark.parametrize("seconds", [0.0, 1.99])
def test_too_little_silence_says_nothing_of_invented_words(seconds: float) -> None:
    score = invented_words.function("you", seconds, "en")
    assert score == Undefined("the speech pauses for less than 2 s in all")


def test_no_silence_at_all_is_undefined_whatever_the_option_says() -> None:
    score = invented_words.function("you", 0.0, "en", shortest_seconds=0.0)
    assert isinstance(score, Undefined)
