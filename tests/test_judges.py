"""What the report says of the judges: each error marked, and how far two judges agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from benchmarks.report import write_report
from benchmarks.report.judges import agreement, rank_correlation, words_apart
from benchmarks.rows import Row, frame_of
from tests.test_summary import summary_of, words

RECEIPT = {"started": "2026-11-21T10:00:00", "seeds": {"bootstrap": 0}}


def page_of(folder: Path, *groups: Iterable[Row]) -> str:
    frame = frame_of(row for rows in groups for row in rows)
    return write_report(folder, frame, RECEIPT).read_text(encoding="utf-8")


def column(text: str, name: str) -> dict[str, str]:
    """A column of a table, by the cells of its first column."""
    header, _, *rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()
    ]
    return {row[0]: row[header.index(name)] for row in rows}


def test_a_word_missed_one_mistaken_and_one_invented_are_told_apart(tmp_path: Path) -> None:
    rows = words(
        "mixture", [(1, 5)], transcript="turn left at the gate", hypothesis="so turn right at gate"
    )
    frame = frame_of(rows)
    frame["insertions"] = frame["deletions"] = 1
    page = write_report(tmp_path, frame, RECEIPT).read_text(encoding="utf-8")
    assert "**+so** turn ~~left~~ → **right** at ~~the~~ gate" in page
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page)
    inline = next(one for one in tokens if "→ **right**" in one.content and one.children)
    kinds = [child.type for child in inline.children or []]
    assert kinds.count("s_open") == 2 and kinds.count("strong_open") == 2


@pytest.mark.parametrize(
    ("said", "heard", "counts", "marked"),
    [
        ("Das ist schön", "das ist schon", (1, 0, 0), "das ist ~~schön~~ → **schon**"),
        ("今日は", "今日", (0, 1, 0), "今 日 ~~は~~"),
    ],
)
def test_errors_are_marked_in_other_languages_too(
    tmp_path: Path, said: str, heard: str, counts: tuple[int, int, int], marked: str
) -> None:
    frame = frame_of(words("mixture", [(1, 3)], transcript=said, hypothesis=heard))
    frame["substitutions"], frame["deletions"], frame["insertions"] = counts
    assert marked in write_report(tmp_path, frame, RECEIPT).read_text(encoding="utf-8")


def test_what_was_invented_of_a_clip_without_speech_is_shown(tmp_path: Path) -> None:
    frame = frame_of(words("mixture", [(0, 0)], transcript="", hypothesis="thank you"))
    frame["insertions"] = 2
    page = write_report(tmp_path, frame, RECEIPT).read_text(encoding="utf-8")
    assert "| mixture | – | 0 | 0 | 2 | **+thank** **+you** |" in page


def heard_by(judge: str, errors: dict[str, int], texts: dict[str, str] | None = None) -> list[Row]:
    """A clip of ten words by method, as a judge heard it."""
    return [
        dataclasses.replace(row, judge=judge)
        for method, count in errors.items()
        for row in words(method, [(count, 10)], hypothesis=(texts or {}).get(method, "turn left"))
    ]


ERRORS = {"mixture": 5, "nn-filter": 8, "spleeter": 3, "clean": 0}


def test_judges_of_one_opinion_agree_wholly_and_of_the_reverse_not_at_all() -> None:
    for other, tau in ((ERRORS, "1.00"), ({n: 9 - e for n, e in ERRORS.items()}, "-1.00")):
        rows = [*heard_by("whisper", ERRORS), *heard_by("wav2vec2", other)]
        frame = frame_of(rows)
        text = agreement(frame, summary_of(rows).scenarios)
        assert column(text, "tau") == {"simple": tau}
        assert column(text, "judges") == {"simple": "wav2vec2, whisper"}
        assert column(text, "words apart") == {"simple": "0 %"}
        assert column(text, "of tracks") == {"simple": "4"}


def test_one_judge_has_nobody_to_agree_with(tmp_path: Path) -> None:
    rows = heard_by("whisper", ERRORS)
    assert agreement(frame_of(rows), summary_of(rows).scenarios) == ""
    assert "## Judges" not in page_of(tmp_path, rows)


def test_a_judge_that_is_unavailable_agrees_with_nobody(tmp_path: Path) -> None:
    lost_words = [
        dataclasses.replace(
            row, value=None, status="unavailable", reason="run: hf download x/y",
            substitutions=None, deletions=None, insertions=None, reference_units=None,
            hypothesis=None, transcript=None,
        )
        for row in heard_by("wav2vec2", ERRORS)
    ]  # fmt: skip
    page = page_of(tmp_path, heard_by("whisper", ERRORS), lost_words)
    assert "## Judges" not in page
    assert page.count("run: hf download x/y") == 1  # once, not once a method


def test_several_judges_stand_side_by_side(tmp_path: Path) -> None:
    page = page_of(tmp_path, heard_by("whisper", ERRORS), heard_by("wav2vec2", ERRORS))
    assert "WER (wav2vec2) ↓ | WER (whisper) ↓" in page
    assert "## Judges" in page


def test_the_words_apart_do_not_depend_on_who_comes_first() -> None:
    one, other = "turn left at the gate", "turn right at gate"
    assert words_apart([(one, other, "en")]) == words_apart([(other, one, "en")])
    assert words_apart([(one, other, "en")]) == pytest.approx(2 / 4.5)
    assert words_apart([("", "", "en")]) is None


def test_a_rank_correlation_needs_three_methods_and_an_order() -> None:
    assert rank_correlation([1.0, 2.0], [1.0, 2.0]) is None
    assert rank_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    assert rank_correlation([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]) == pytest.approx(1 / 3)
