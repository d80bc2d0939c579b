"""The report: what it says, that it renders, that nothing in it can break it, and its pictures."""

from __future__ import annotations

import importlib.metadata
import io
import json
import math
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from PIL import Image

from benchmarks.contract import Audio, Estimate
from benchmarks.report import ClipTracks, write_report, write_rows
from benchmarks.report.canvas import WIDTH, png
from benchmarks.report.evidence import PAIR_COLUMNS, caution, evidence_part, p_value
from benchmarks.report.figures import RANGE_DB, band_powers, panels, spectrograms
from benchmarks.report.markdown import escape, number, percent, table
from benchmarks.report.missing import gap_table
from benchmarks.report.overview import overview
from benchmarks.report.page import figure_name
from benchmarks.report.ranking import ranking_diagram
from benchmarks.report.receipt import receipt
from benchmarks.report.seed_study import seed_study_table
from benchmarks.report.tables import score_table, share_notes, share_table, title, words_table
from benchmarks.report.verdict import at_a_glance, verdict
from benchmarks.rows import Row, frame_of
from benchmarks.summary import Measure
from tests.test_summary import (
    OUTPUT_RATIO,
    cost,
    fact,
    lost,
    sound,
    summary_of,
    table_of,
    words,
)

RATE_HZ = 16000
RECEIPT = {"started": "2026-11-21T10:00:00", "seeds": {"bootstrap": 0}}


def everything(scenario: str = "simple") -> list[Row]:
    """Two clips, a floor, a method and two oracles; the method wins on sound and not on words."""
    return [
        *sound("mixture", [0.0, 2.0], scenario=scenario),
        *sound("spleeter", [6.0, 10.0], scenario=scenario),
        *sound("oracle-irm", [11.0, 11.0], scenario=scenario),
        *sound("clean", [math.inf, math.inf], scenario=scenario),
        *sound("spleeter", [-3.0, -5.0], measure=OUTPUT_RATIO, scenario=scenario),
        *words("mixture", [(4, 10), (2, 10)], scenario=scenario),
        *words("spleeter", [(5, 10), (3, 10)], scenario=scenario),
        *words("clean", [(0, 10), (1, 10)], scenario=scenario),
    ]


def noise(seed: int, seconds: float = 0.5, rate_hz: int = RATE_HZ) -> Audio:
    samples = 0.1 * np.random.default_rng(seed).standard_normal((2, int(seconds * rate_hz)))
    return Audio.of(samples, rate_hz)


def tracks_of(clip: str) -> ClipTracks:
    estimates = {"mixture": Estimate(noise(1), noise(1)), "spleeter": Estimate(noise(2), noise(3))}
    return ClipTracks(noise(len(clip)), noise(5), noise(6), estimates)


def page_of(folder: Path, *groups: Iterable[Row], **more: Any) -> str:
    frame = frame_of(row for rows in groups for row in rows)
    return write_report(folder, frame, RECEIPT, **more).read_text(encoding="utf-8")


def cells(line: str) -> list[str]:
    """The cells of a table's line, split at the pipes that are not escaped."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def column(text: str, name: str) -> dict[str, str]:
    """A column of a table, by the cells of its first column."""
    header, _, *rows = text.splitlines()
    place = cells(header).index(name)
    return {cells(row)[0]: cells(row)[place] for row in rows}


def rendered(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


# The page


def test_a_run_leaves_a_page_its_rows_and_its_pictures(tmp_path: Path) -> None:
    page = page_of(tmp_path, everything(), tracks=tracks_of)
    assert page.startswith("# Which separation method? Suite tiny, 2026-11-21\n")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")) == [
        "figures/clip-simple-0.png",
        "figures/clip-simple-1.png",
        "figures/overview.png",
        "pairs.csv",
        "report.md",
        "rows.csv",
        "rows.parquet",
    ]
    for link in re.findall(r"!\[[^\]]*\]\(([^)]*)\)", page):
        assert (tmp_path / link).is_file()


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        page_of(tmp_path / name, everything(), tracks=tracks_of, pictured=["simple-0"])
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("one", "other")
    )
    assert one == other


def test_every_table_is_well_formed(tmp_path: Path) -> None:
    nasty = lost("nn|`*", "a|b\n**c**", reason="it | broke\n\n| a | b |\n<details>")
    page = page_of(tmp_path, everything(), everything("crowd"), [nasty])
    tables = 0
    width = 0
    for line in page.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        tables += width == 0
        width = width or len(cells(line))
        assert len(cells(line)) == width, line
    assert tables > 10
    assert sum(token.type == "table_open" for token in rendered(page)) == tables


def test_the_page_has_no_empty_number(tmp_path: Path) -> None:
    page = page_of(tmp_path, everything(), [lost("nn-filter", "simple-1")])
    assert not re.search(r"\b(nan|NaN|None|NaT|inf)\b", page.replace("None.", ""))


def test_progress_is_told_picture_by_picture(tmp_path: Path) -> None:
    told: list[tuple[float, float, str]] = []
    page_of(tmp_path, everything(), tracks=tracks_of, progress=lambda *step: told.append(step))
    assert told == [(1, 2, "simple-0"), (2, 2, "simple-1")]


# What it says


def test_the_best_is_bold_and_oracles_are_in_italics() -> None:
    assert column(score_table(table_of(everything()), "sound"), "SI-SDR ↑") == {
        "mixture": "1.0",
        "spleeter": "**8.0**",
        "*oracle-irm*": "11.0",
        "*clean*": "∞",
    }


def test_words_stand_beside_the_headroom_they_recover() -> None:
    text = words_table(table_of(everything()))
    assert column(text, "WER ↓")["mixture"] == "**0.30**"
    assert column(text, "WER headroom<br>recovered ↑") == {
        "mixture": "**0 %**",
        "spleeter": "-40 %",
        "*oracle-irm*": "–",
        "*clean*": "100 %",
    }


def test_a_missing_clip_gives_a_dash_and_the_mean_is_listed_apart(tmp_path: Path) -> None:
    rows = [*everything(), *sound("nn-filter", [30.0]), lost("nn-filter", "simple-1")]
    assert column(score_table(table_of(rows), "sound"), "SI-SDR ↑")["nn-filter"] == "– (1 of 2)"
    page = page_of(tmp_path, rows)
    assert "| simple | nn-filter | SI-SDR of vocals | 1 of 2 | 30.0 |" in page
    assert "Not compared: nn-filter (scored on 1 of 2 clips)." in page


def test_a_column_that_fewer_clips_could_have_says_so() -> None:
    third = [*sound("mixture", [1.0], start=2), *sound("spleeter", [1.0], start=2)]
    assert "WER ↓ (n = 2 of 3)" in words_table(table_of(everything(), third))


def test_failures_are_listed_with_clip_method_and_reason(tmp_path: Path) -> None:
    page = page_of(tmp_path, everything(), [lost("nn-filter", "simple-1", "timed out", "600 s")])
    assert "| timed out | nn-filter | all | simple-1 | 600 s |" in page
    assert "**nn-filter**: timed out on 1 of 2 clips (simple-1): 600 s." in page


def test_a_run_without_failures_says_none(tmp_path: Path) -> None:
    assert "could not be had.\n\nNone." in page_of(tmp_path, everything())


def test_gaps_of_one_reason_share_a_line() -> None:
    rows = [
        fact(
            method,
            clip,
            **{"target": target, "metric": "si-sdr", "unit": "dB", "better": "higher"},
            status="not applicable",
            reason="no stems",
        )
        for method in ("mixture", "spleeter")
        for clip in ("one", "two")
        for target in ("vocals", "background")
    ]
    lines = gap_table(summary_of(rows).gaps).splitlines()
    both = "SI-SDR of background and SI-SDR of vocals"
    assert lines[2:] == [f"| mixture and spleeter | {both} | one and two | no stems |"]


def test_the_verdict_says_when_doing_nothing_beats_everything() -> None:
    (sentence,) = verdict(table_of(sound("mixture", [5.0, 6.0]), sound("spleeter", [1.0, 2.0])))
    assert sentence == (
        "Highest SI-SDR: **mixture**, 5.5 dB (n = 2): **doing nothing beats everything here**. "
        "Next is spleeter with 1.5 dB; mixture leads it by 4.0 dB, better on 2 of 2 clips "
        "(p = 0.5; about 4 more like these would tell them apart). 2 clips cannot show less than "
        "p = 0.5, so this is no proof."
    )


def test_the_verdict_says_when_no_method_helps_the_recogniser() -> None:
    _, sentence = verdict(table_of(everything()))
    assert sentence == (
        "Fewest word errors: **mixture**, WER 0.30 (n = 2, 6 errors in 20 words): **no method "
        "helps the recogniser here**. Next is spleeter with 0.40; mixture leads it by 0.10, better "
        "on 2 of 2 clips (p = 0.5; about 4 more like these would tell them apart). 2 clips cannot "
        "show less than p = 0.5, so this is no proof. The true speech itself has 0.05."
    )


def test_the_verdict_says_how_much_of_the_headroom_the_words_recovered() -> None:
    table = table_of(
        words("mixture", [(6, 10)]), words("spleeter", [(4, 10)]), words("clean", [(2, 10)])
    )
    assert "WER 0.40 (n = 1, 4 errors in 10 words); 50 % of the headroom." in verdict(table)[0]


def test_nothing_is_compared_with_nothing() -> None:
    (sentence,) = verdict(table_of(sound("spleeter", [1.0])))
    assert "there is nothing to compare it with" in sentence


def test_the_verdict_names_the_lead_the_clips_and_p_after_its_correction() -> None:
    """Eight clips, all of one mind: 2 of 256 signs, and two tests against the mixture."""
    clips = range(8)
    (sentence,) = verdict(
        table_of(
            sound("mixture", [0.1 * clip for clip in clips]),
            sound("spleeter", [4.0 + 0.2 * clip for clip in clips]),
            sound("nn-filter", [1.0 + 0.3 * (clip % 3) for clip in clips]),
        )
    )
    assert "spleeter leads it by 3.4 dB, better on 8 of 8 clips (p = 0.008; 0.023 after" in sentence
    assert "The mixture (doing nothing) has 0.4 dB" in sentence
    assert "0.016 after Holm's correction for 2 tests: significant)" in sentence
    assert "no proof" not in sentence


def test_what_was_not_shown_says_how_many_clips_would_show_it() -> None:
    (sentence,) = verdict(
        table_of(
            sound("spleeter", [1.0, -1.0, 2.0, 0.5, 3.0, -2.0]),
            sound("nn-filter", [0.0] * 6),
        )
    )
    assert re.search(r"\(p = 0\.\d+: not significant; about \d+ more like these would", sentence)


def test_methods_whose_scores_are_infinite_are_named_without_a_test() -> None:
    (sentence,) = verdict(
        table_of(sound("mixture", [1.0, 2.0]), sound("spleeter", [math.inf, math.inf]))
    )
    assert sentence.endswith("Next is the mixture (doing nothing) with 1.5 dB.")


def test_every_method_has_its_tests_against_the_mixture_and_against_the_best() -> None:
    table_ = table_of(
        sound("mixture", [0.0, 0.0, 0.0, 0.0]),
        sound("spleeter", [4.0, 5.0, 6.0, 5.0]),
        sound("nn-filter", [1.0, 2.0, -1.0, 1.0]),
    )
    text = evidence_part(table_, 0)
    assert "4 clips cannot show less than p = 0.125, so nothing below is proven; 6 clips" in text
    first, second = (part for part in text.split("\n\n") if part.startswith("|"))
    assert list(column(first, "gain, dB")) == ["spleeter", "nn-filter"]
    assert column(first, "better on") == {"spleeter": "4", "nn-filter": "3"}
    assert column(first, "worse on") == {"spleeter": "0", "nn-filter": "1"}
    assert column(first, "p")["spleeter"] == "0.125"
    assert column(second, "lead, dB")["mixture"].startswith("5.0 [")
    assert column(second, "p, corrected")["mixture"] == "0.375"
    assert "Mean ranks closer than 1.7 (of 3) are not told apart." in text


def test_every_two_methods_have_a_line_for_every_score(tmp_path: Path) -> None:
    page_of(tmp_path, everything(), everything("crowd"))
    pairs = pd.read_csv(tmp_path / "pairs.csv")
    assert tuple(pairs.columns) == PAIR_COLUMNS
    assert pairs["scenario"].tolist() == ["simple"] * 2 + ["crowd"] * 2 + ["all"] * 2
    sound_of_all = pairs[(pairs["scenario"] == "all") & (pairs["metric"] == "si-sdr")].iloc[0]
    assert (sound_of_all["method"], sound_of_all["other"]) == ("spleeter", "mixture")
    assert (sound_of_all["clips"], sound_of_all["lead"], sound_of_all["p"]) == (4, 7.0, 0.125)


def test_a_p_value_has_three_places() -> None:
    assert [p_value(p) for p in (0.0004, 0.0312, 0.125, 0.5, 1.0)] == [
        "<0.001", "0.031", "0.125", "0.5", "1",
    ]  # fmt: skip


def test_few_clips_are_called_a_hint() -> None:
    few, many = (
        summary_of(sound("mixture", values), sound("spleeter", values))
        for values in ([1.0] * 4, [1.0] * 12)
    )
    assert "With 4 clips in a scenario this is a hint" in caution(few)
    assert "hint" not in caution(many)


def test_the_table_at_the_top_names_the_best_beside_the_mixture() -> None:
    assert at_a_glance(table_of(everything())) == [
        "**spleeter** 8.0 dB<br>mixture 1.0 dB",
        "**mixture** 0.30: doing nothing is best",
    ]


def test_a_mean_stands_above_its_interval_so_that_many_columns_fit() -> None:
    cell = column(
        score_table(table_of(sound("spleeter", [1.0, 2.0, 3.0, 5.0])), "sound"), "SI-SDR ↑"
    )
    assert re.fullmatch(r"\*\*2\.8\*\*<br>\[-?\d+\.\d,\u00a0\d+\.\d\]", cell["spleeter"])


def test_sound_perception_and_words_have_tables_of_their_own(tmp_path: Path) -> None:
    estoi = Measure("estoi", "vocals", "", "1", "higher")
    opinion = Measure("dnsmos-p808", "vocals", "", "MOS", "higher")
    rows = [
        *everything(),
        *sound("spleeter", [3.0, 4.0], measure=opinion),
        *sound("spleeter", [0.5, 0.7], measure=estoi),
    ]
    table_ = table_of(rows)
    assert score_table(table_, "perception").splitlines()[0] == (
        "| method | ESTOI ↑ | DNSMOS<br>P.808, MOS ↑ |"
    )
    assert "ESTOI" not in score_table(table_, "sound")
    page = page_of(tmp_path, rows)
    places = [page.index(f"**{name}**") for name in ("Sound", "Perception", "Words and cost")]
    assert places == sorted(places)
    assert [title(one) for one in (estoi, opinion)] == [
        "ESTOI of vocals", "DNSMOS P.808 of vocals",
    ]  # fmt: skip


def test_every_measure_with_a_direction_has_a_share_or_says_why_not() -> None:
    estoi = Measure("estoi", "vocals", "", "1", "higher")
    rows = [*everything(), *sound("spleeter", [0.5, 0.7], measure=estoi)]
    table_ = table_of(rows)
    assert cells(share_table(table_).splitlines()[0]) == ["method", "SI-SDR", "WER"]
    assert column(share_table(table_), "SI-SDR")["spleeter"] == "70\u00a0%"
    assert [cells(line)[:2] for line in share_table(table_).splitlines()[-3:]] == [
        ["from", "1.0 dB"], ["to", "11.0 dB"], ["of", "oracle-irm"],
    ]  # fmt: skip
    (note,) = (one for one in share_notes(table_) if one.startswith("ESTOI"))
    assert note == (
        "ESTOI of vocals: the share is undefined, since the mixture itself has no such score on "
        "every clip."
    )


def test_a_short_way_to_the_ceiling_is_called_short() -> None:
    table = table_of(
        words("mixture", [(2, 50)]), words("clean", [(1, 50)]), words("spleeter", [(5, 50)])
    )
    assert share_notes(table) == [
        "WER: the way to the ceiling is only 1 error in 50; its shares say little."
    ]


def test_speed_of_an_earlier_run_has_a_dagger_and_a_word_of_why(tmp_path: Path) -> None:
    rows = cost("spleeter", "simple-0", {"real-time-factor": 0.25}, "warm", reused=True)
    page = page_of(tmp_path, everything(), rows)
    assert "**0.250**†" in page
    assert "†: measured in an earlier run" in page


def test_a_suite_without_stems_has_words_and_speed_only(tmp_path: Path) -> None:
    unknown: dict[str, Any] = {"target": "vocals", "metric": "si-sdr", "unit": "dB"}
    rows = [
        fact("mixture", "simple-0", **unknown, status="not applicable", reason="unknown speech"),
        *words("mixture", [(1, 4)]),
        *words("spleeter", [(0, 4)]),
    ]
    assert score_table(table_of(rows), "sound") == ""
    page = page_of(tmp_path, rows)
    assert "**Sound**" not in page
    assert "| WER ↓ |" in page
    assert "unknown speech" in page


def test_a_suite_without_transcripts_has_no_words(tmp_path: Path) -> None:
    page = page_of(tmp_path, sound("mixture", [1.0]), sound("spleeter", [2.0]))
    assert "## Word errors" not in page
    assert "WER" not in page.split("## Receipt")[0]


def test_the_seed_study_stands_beside_ours() -> None:
    text = seed_study_table(summary_of(everything("crowd")))
    assert text.splitlines()[2:] == [
        "| simple | nearest-neighbour filter | not in this run | -5.84 | – | 0.67 | – |",
        "| music | nearest-neighbour filter | not in this run | -14.05 | – | 0.93 | – |",
        "| crowd | nearest-neighbour filter | not in this run | -7.97 | – | 0.94 | – |",
        "| crowd | ICA | not in this run | 0.07 | – | 0.78 | – |",
        "| crowd | Spleeter | spleeter | 18.35 | -4.0 | 0.67 | 0.40 |",
    ]


def test_the_seed_study_is_left_out_where_nothing_stands_beside_it() -> None:
    assert seed_study_table(summary_of(everything("my kitchen"))) == ""


def test_word_errors_show_what_was_missed_and_what_was_invented(tmp_path: Path) -> None:
    said, heard = "take the second left", "take the seconds left now"
    rows = words("mixture", [(1, 4)], transcript=said, hypothesis=heard)
    frame = frame_of(rows)
    frame["insertions"] = 1
    page = write_report(tmp_path, frame, RECEIPT).read_text(encoding="utf-8")
    assert "take the ~~2nd~~ → **seconds** left **+now**" in page
    assert "| **was said** |  |  |  |  | take the second left |" in page


def test_words_that_were_counted_otherwise_are_shown_as_they_were_heard(tmp_path: Path) -> None:
    page = page_of(tmp_path, words("mixture", [(3, 4)], hypothesis="Take *it*, <b>"))
    assert r"| mixture | 0.75 | 3 | 0 | 0 | Take \*it\*, &lt;b&gt; |" in page


def test_a_suite_of_many_scenarios_may_measure_one_of_them_less(tmp_path: Path) -> None:
    page = page_of(tmp_path, everything("crowd"), sound("mixture", [1.0], scenario="kitchen"))
    assert "## kitchen" in page
    assert (tmp_path / "figures" / "overview.png").exists()


# Numbers and text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (8.06, "dB", "8.1"),
        (-0.04, "dB", "0.0"),
        (math.inf, "dB", "∞"),
        (-math.inf, "dB", "-∞"),
        (0.375, "1", "0.38"),
        (812.6, "MiB", "813"),
        (0.06512, "s", "0.0651"),
        (123.4, "s", "123"),
        (98765.0, "s", "98765"),
        (0.00002, "s", "<0.001"),
        (0.0, "s", "0"),
    ],
)
def test_numbers_are_as_precise_as_their_unit_deserves(value: float, unit: str, text: str) -> None:
    assert number(value, unit) == text


def test_shares_are_whole_percent() -> None:
    assert [percent(share) for share in (0.456, -0.2, math.inf)] == ["46 %", "-20 %", "∞"]


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_escaped_text_stands_for_itself_in_one_cell(text: str) -> None:
    tokens = rendered(table(["a", "b"], [[escape(text), "end"]]))
    inline = [token for token in tokens if token.type == "inline"]
    assert [inline[0].content, inline[1].content, inline[3].content] == ["a", "b", "end"]
    children = inline[2].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    shown = "".join(child.content for child in children)
    marks = "|`*_<>[]()~$#&\\!"
    kept = [letter for letter in text if letter.isalnum() or letter in marks]
    assert [letter for letter in shown if letter.isalnum() or letter in marks] == kept


def test_endless_text_is_cut() -> None:
    assert escape("a" * 1000, longest=10) == "a" * 9 + "…"


def test_a_ragged_table_is_a_bug() -> None:
    with pytest.raises(ValueError, match="1 cells in a table of 2"):
        table(["a", "b"], [["c"]])


def test_picture_names_are_plain_and_differ_where_clips_do() -> None:
    names = [figure_name(clip) for clip in ("a b", "a/b", "a-b", "../x", "早", "a'b")]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"clip-[\w.-]+\.png", name) for name in names)
    assert figure_name("a-b") == "clip-a-b.png"


# Rows and receipt


@pytest.mark.parametrize("read", [pd.read_csv, pd.read_parquet])
def test_infinity_survives_storage_and_a_missing_value_stays_missing(
    tmp_path: Path, read: Callable[..., pd.DataFrame]
) -> None:
    rows = [*sound("clean", [math.inf, -math.inf, 0.1]), lost("spleeter", "simple-0")]
    write_rows(tmp_path, frame_of(rows))
    suffix = "csv" if read is pd.read_csv else "parquet"
    values = read(tmp_path / f"rows.{suffix}")["value"].tolist()
    assert values[:3] == [math.inf, -math.inf, 0.1]
    assert math.isnan(values[3])


def test_a_receipt_can_be_stored_and_says_what_ran() -> None:
    given_receipt = receipt(
        command=["sepbench", "run", "my suite"],
        started="2026-11-21T10:00:00",
        seeds={"bootstrap": 0},
        weights={"spleeter-2stems": {"vocals.ckpt": "ab"}},
        sources={"spleeter": "cd"},
        cells_computed=3,
        cells_reused=1,
        packages=["pytest"],
        workers=2,
    )
    assert json.loads(json.dumps(given_receipt)) == given_receipt
    assert given_receipt["command"] == "sepbench run 'my suite'"
    assert given_receipt["versions"]["numpy"] == importlib.metadata.version("numpy")
    assert given_receipt["versions"]["pytest"] == importlib.metadata.version("pytest")
    assert given_receipt["workers"] == 2
    assert all(given_receipt["hardware"].values())


def test_the_receipt_is_on_the_page_with_hashes_of_clips_and_weights(tmp_path: Path) -> None:
    weights = {"spleeter-2stems": {"vocals.ckpt": "385ea3"}}
    frame = frame_of(everything())
    page = write_report(tmp_path, frame, {**RECEIPT, "weights": weights}).read_text()
    assert "| spleeter-2stems / vocals.ckpt | 385ea3 |" in page
    assert f"| simple | simple-0 | {'ab' * 32} |" in page


# Pictures


def test_a_picture_of_a_clip_is_a_small_png_of_the_expected_size() -> None:
    figure = spectrograms(panels(tracks_of("x"), ["mixture", "spleeter", "clean"], {}))
    content = png(figure)
    assert content.startswith(b"\x89PNG\r\n")
    assert len(content) < 150_000
    height = round(figure.get_figheight() * figure.dpi)
    assert Image.open(io.BytesIO(content)).size == (WIDTH, height)


def test_spectrograms_share_their_scale_and_their_axes() -> None:
    loud = ClipTracks(noise(1), noise(2), noise(3), {"spleeter": Estimate(noise(4), noise(5))})
    figure = spectrograms(panels(loud, ["spleeter"], {}))
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 5
    assert {axes.images[0].get_clim() for axes in drawn} == {(-RANGE_DB, 0.0)}
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in drawn}) == 1
    mixture_db = np.asarray(drawn[0].images[0].get_array())
    assert mixture_db.max() == pytest.approx(0.0)


def test_the_mixture_and_the_truth_are_drawn_once() -> None:
    estimates = {name: Estimate(noise(1), noise(2)) for name in ("mixture", "clean", "spleeter")}
    found = panels(ClipTracks(noise(0), noise(1), None, estimates), list(estimates), {})
    assert [(panel.row, panel.column, panel.name) for panel in found] == [
        (0, 0, "mixture"),
        (1, 0, "true speech"),
        (2, 0, "spleeter: vocals"),
        (2, 1, "spleeter: background"),
    ]


@pytest.mark.parametrize("audio", [noise(1, 0.05, 8000), noise(1, 0.01, 192000), noise(1, 31.0)])
def test_short_long_slow_and_fast_recordings_can_be_drawn(audio: Audio) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = spectrograms(panels(ClipTracks(audio, None, None, {}), [], {}))
    first, last = figure.axes[0].get_xlim()
    assert last - first == pytest.approx(min(audio.seconds, 30.0))


def test_silence_can_be_drawn() -> None:
    silence = Audio.of(np.zeros((1, 8000)), RATE_HZ)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png(spectrograms(panels(ClipTracks(silence, None, None, {}), [], {})))


def test_a_tone_is_bright_in_the_band_of_its_frequency_only() -> None:
    time = np.arange(RATE_HZ) / RATE_HZ
    tone = Audio.of(np.sin(2 * np.pi * 1000 * time), RATE_HZ)
    power = band_powers(tone, 0, tone.length).mean(axis=1)

    def mel(hz: float) -> float:
        return 2595 * math.log10(1 + hz / 700)

    expected = mel(1000) / mel(RATE_HZ / 2) * power.size - 0.5
    assert abs(int(power.argmax()) - expected) <= 1
    assert np.delete(power, range(power.argmax() - 3, power.argmax() + 4)).max() < power.max() / 100


def test_power_and_not_the_sum_of_channels_is_shown() -> None:
    """Channels of opposite sign would cancel in a sum."""
    one = noise(1)
    opposite = Audio.of(np.stack([one.samples[0], -one.samples[0]]), RATE_HZ)
    same = Audio.of(one.samples[:1], RATE_HZ)
    np.testing.assert_allclose(
        band_powers(opposite, 0, opposite.length), band_powers(same, 0, same.length), rtol=1e-6
    )


def test_the_overview_has_a_panel_for_each_scenario_and_measure() -> None:
    improved = Measure("si-sdr-improvement", "vocals", "", "dB", "higher")
    gains = sound("spleeter", [1.0, 2.0], measure=improved)
    figure = overview(summary_of(everything(), everything("crowd"), gains))
    assert figure is not None
    assert len(figure.axes) == 4


def test_the_overview_has_a_dot_for_every_clip_and_a_bar_for_every_whole_mean() -> None:
    figure = overview(summary_of(words("mixture", [(1, 4), (2, 4)]), words("spleeter", [(1, 4)])))
    assert figure is not None
    markers = [line.get_marker() for line in figure.axes[0].lines]
    assert (markers.count("o"), markers.count("|")) == (3, 1)


def test_the_ranking_has_two_panels_a_scenario_and_two_for_all_clips() -> None:
    three = [
        [
            *everything(scenario),
            *sound("nn-filter", [1.0, 1.0], scenario=scenario),
            *words("nn-filter", [(9, 10), (9, 10)], scenario=scenario),
        ]
        for scenario in ("simple", "crowd")
    ]
    figure = ranking_diagram(summary_of(*three))
    assert figure is not None
    assert len(figure.axes) == 6
    names = [text.get_text() for text in figure.axes[0].texts]
    assert {"spleeter", "mixture", "nn-filter"} <= set(names)
    assert "clean" not in names
    titles = [text.get_text() for text in figure.texts]
    assert titles[0] == "simple: SI-SDR of vocals"
    assert titles[-2] == "all clips: WER"
    assert Image.open(io.BytesIO(png(figure))).width == WIDTH


def test_two_methods_are_not_ranked() -> None:
    assert ranking_diagram(summary_of(everything())) is None


def test_without_such_scores_there_is_no_overview() -> None:
    assert overview(summary_of(sound("mixture", [1.0], measure=OUTPUT_RATIO))) is None
