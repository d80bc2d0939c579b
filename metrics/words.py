"""Word and character error rate: what a judge misheard of what was said; and what it invented.

Both texts go through one normaliser first, the one published with Whisper, in the package
``whisper-normalizer``: a score must not hang on commas, on "25" against "twenty-five", on
"colour" against "color" or on an "um" (all of which it makes equal, in English). Radford et al.
2022, appendix C, describe it. What is done beyond it is in ``normalised_words``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, NamedTuple

from benchmarks.contract import EditCounts, Option, Undefined, metric

if TYPE_CHECKING:
    from jiwer import CharacterOutput, WordOutput

# Chinese, Cantonese, Japanese, Thai, Lao and Burmese write no spaces between words: there, as in
# Whisper's own evaluation, each character counts as a word.
WITHOUT_SPACES = frozenset({"zh", "yue", "ja", "th", "lo", "my"})


class AlignedWord(NamedTuple):
    """One step of an alignment; a word that is not there is an empty text."""

    step: str  # equal, substitute, delete or insert
    reference: str
    hypothesis: str


@metric(unit="1", better="lower", paper="Morris, Maier and Green 2004; normaliser: Radford 2022")
def wer(transcript: str, hypothesis: str, language: str) -> EditCounts:
    """Word error rate: words wrong, missing or invented, per word that was really said.

    The fewest substitutions, deletions and insertions that turn the transcript into the
    hypothesis (Levenshtein, by jiwer), both as ``normalised_words``.

    Args:
        transcript: the words that were really said.
        hypothesis: the words that a judge heard.
        language: of both, as a two-letter code.

    Returns:
        The counts; their rate is a fraction from 0 up, above 1 where much is invented. A
        transcript without words keeps its count of insertions, and its rate is undefined.
    """
    return _counts(_aligned(transcript, hypothesis, language))


@metric(unit="1", better="lower")
def cer(transcript: str, hypothesis: str, language: str) -> EditCounts:
    """Character error rate: as the word error rate, over the characters of the normalised texts.

    The one space between two words is a character too, as in jiwer and most toolkits, so that a
    word split in two costs something. Languages that are written without spaces have none.

    Args, returns: as for ``wer``.
    """
    import jiwer

    between = "" if _code(language) in WITHOUT_SPACES else " "
    said = between.join(normalised_words(transcript, language))
    heard = between.join(normalised_words(hypothesis, language))
    return _counts(jiwer.process_characters(said, heard))


@metric(unit="1/min", better="lower", targets=("vocals",))
def invented_words(
    invented: str,
    pause_seconds: float,
    language: str,
    *,
    shortest_seconds: Annotated[
        float, Option("pauses shorter than this in all say nothing, in seconds", minimum=0.0)
    ] = 2.0,
) -> float | Undefined:
    """Invented words: what a judge hears in a minute in which the speaker is silent.

    The pauses of the true speech, each of a second or more, are cut out of the vocals, and the
    judge hears them alone: whatever it writes down, the speaker did not say. Other voices that
    come through do that, leftover music, and noise where a recogniser is prone to dream.

    Args:
        invented: the words that a judge heard in those stretches, end to end.
        pause_seconds: how long they are in all.
        language: of the judge's text, as a two-letter code.

    Returns:
        Normalised words a minute, from 0 up. Undefined where there is too little silence to tell.
    """
    if pause_seconds <= 0.0 or pause_seconds < shortest_seconds:
        return Undefined(f"the speech pauses for less than {shortest_seconds:g} s in all")
    return 60.0 * len(normalised_words(invented, language)) / pause_seconds


def align(transcript: str, hypothesis: str, language: str) -> list[AlignedWord]:
    """The alignment that ``wer`` counts, step by step, in normalised words."""
    found = _aligned(transcript, hypothesis, language)
    said, heard = found.references[0], found.hypotheses[0]
    steps = []
    for chunk in found.alignments[0]:
        references = said[chunk.ref_start_idx : chunk.ref_end_idx]
        hypotheses = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
        for index in range(max(len(references), len(hypotheses))):
            steps.append(
                AlignedWord(
                    chunk.type,
                    references[index] if references else "",
                    hypotheses[index] if hypotheses else "",
                )
            )
    return steps


@functools.lru_cache(maxsize=4096)
def normalised_words(text: str, language: str) -> tuple[str, ...]:
    """A text as the words that are compared.

    Three things are done beyond the normaliser. Typographic apostrophes become plain ones first:
    it knows "don't" and takes "don’t" for two words. What is left without a letter or a digit
    goes: it turns a trailing "..." into a word of its own. And outside English it is told to keep
    combining marks, which are the vowels of Hindi, Thai and others.
    """
    plain = text.replace("’", "'").replace("ʼ", "'")
    words = _normaliser(_code(language))(plain).split()
    return tuple(word for word in words if any(map(str.isalnum, word)))


def normaliser_version() -> str:
    """The normaliser's package and version, for the receipt."""
    return f"whisper-normalizer {version('whisper-normalizer')}"


@functools.cache
def _normaliser(code: str) -> Callable[[str], str]:
    if code == "en":
        from whisper_normalizer.english import EnglishTextNormalizer

        english: Callable[[str], str] = EnglishTextNormalizer()
        return english
    from whisper_normalizer.basic import BasicTextNormalizer

    basic: Callable[[str], str] = BasicTextNormalizer(
        preserve_marks=True, split_letters=code in WITHOUT_SPACES
    )
    return basic


def _code(language: str) -> str:
    """``en`` of ``en-GB`` and of ``EN``."""
    return language.lower().replace("_", "-").split("-")[0]


def _aligned(transcript: str, hypothesis: str, language: str) -> WordOutput:
    import jiwer

    said = " ".join(normalised_words(transcript, language))
    heard = " ".join(normalised_words(hypothesis, language))
    return jiwer.process_words(said, heard)


def _counts(found: WordOutput | CharacterOutput) -> EditCounts:
    return EditCounts(
        substitutions=found.substitutions,
        deletions=found.deletions,
        insertions=found.insertions,
        reference_units=found.hits + found.substitutions + found.deletions,
    )
