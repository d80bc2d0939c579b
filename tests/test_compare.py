"""Two runs side by side: the arithmetic, what may not be compared, the gate, and the pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.comparison import compare_runs, gate, page
from benchmarks.comparison.changes import Change, changes, computed_otherwise
from benchmarks.comparison.pairs import Pair, RunComparison, compare
from benchmarks.errors import UserError
from benchmarks.intervals import mean_of
from benchmarks.report import write_rows
from benchmarks.rows import Row, frame_of
from benchmarks.runs import find_run, read_run, run_folders
from benchmarks.summary import Measure
from tests.stored_runs import changed, store_run
from tests.test_command_line import refused, sepbench
from tests.test_summary import OUTPUT_RATIO, SI_SDR, WER, cost, lost, sound, words

NAN, INF = math.nan, math.inf
FOUR = [1.0, 2.0, 3.0, 4.0]


class Compared:
    """Writes two runs and compares them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        a: Sequence[Row],
        b: Sequence[Row],
        records: Sequence[Mapping[str, Any]] = ({}, {}),
    ) -> RunComparison:
        runs = [
            read_run(store_run(self.folder / name, rows, **record), name)
            for name, rows, record in zip("ab", (a, b), records, strict=True)
        ]
        return compare(*runs)


@pytest.fixture
def compared(tmp_path: Path) -> Compared:
    return Compared(tmp_path)


def pair_of(comparison: RunComparison, method: str = "spleeter", measure: Measure = SI_SDR) -> Pair:
    (found,) = [
        pair
        for scenario in comparison.scenarios
        for pair in scenario.pairs
        if (pair.method, pair.measure) == (method, measure)
    ]
    return found


def gated(comparison: RunComparison, *texts: str) -> list[str]:
    return gate.worse(comparison, gate.parse_tolerances(texts))


# The arithmetic


def test_a_difference_is_b_less_a_over_the_clips_of_both_with_its_interval(
    compared: Compared,
) -> None:
    a, b = np.array([1.0, 2.0, 3.0, 4.0, 9.0]), np.array([2.0, 2.5, 2.0, 6.0])
    pair = pair_of(compared(sound("spleeter", a), sound("spleeter", b)))
    expected, interval = mean_of(b - a[:4], 0)
    assert (pair.mean_a, pair.mean_b, pair.difference) == (2.5, 3.125, 0.625)
    assert (pair.n, pair.better, pair.worse) == (4, 3, 1)
    assert pair.difference == expected
    assert pair.interval == interval
    assert list(pair.lost) == ["simple-4"]


def test_the_paired_interval_is_narrow_where_every_clip_moves_alike(compared: Compared) -> None:
    """The clips lie 30 dB apart, their differences 0.3 dB: only a paired interval sees it."""
    a = [0.0, 10.0, 20.0, 30.0]
    pair = pair_of(compared(sound("spleeter", a), sound("spleeter", [0.9, 11.0, 21.2, 31.1])))
    assert pair.interval is not None
    assert 0.5 < pair.interval[0] < 1.05 < pair.interval[1] < 1.6
    assert pair.verdict == "better"


@pytest.mark.parametrize("seed", range(5))
def test_the_other_way_round_everything_has_the_other_sign(compared: Compared, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = (sound("spleeter", random.normal(size=6)) for _ in "ab")
    there, back = pair_of(compared(a, b)), pair_of(compared(b, a))
    assert there.difference is not None
    assert back.difference == pytest.approx(-there.difference)
    assert (there.better, there.worse, there.mean_a) == (back.worse, back.better, back.mean_b)


def test_a_run_beside_itself_differs_in_nothing(compared: Compared) -> None:
    rows = [
        *sound("clean", [INF] * 4),
        *sound("spleeter", FOUR),
        *words("spleeter", [(1, 4), (0, 0)]),
    ]
    comparison = compared(rows, rows)
    assert all(pair.same for scenario in comparison.scenarios for pair in scenario.pairs)
    assert gated(comparison, "si-sdr=0", "wer=0") == []


def test_both_infinite_is_no_difference_and_one_infinite_is_an_infinite_one(
    compared: Compared,
) -> None:
    pair = pair_of(compared(sound("spleeter", [INF, INF]), sound("spleeter", [INF, 3.0])))
    assert (pair.mean_a, pair.mean_b, pair.difference) == (INF, INF, -INF)
    assert (pair.better, pair.worse) == (0, 1)


def test_rates_are_pooled_over_the_clips_of_both_and_lower_is_better(compared: Compared) -> None:
    a, b = words("spleeter", [(5, 10), (0, 30), (9, 9)]), words("spleeter", [(3, 10), (1, 30)])
    pair = pair_of(compared(a, b), measure=WER)
    assert pair.mean_a == pytest.approx(5 / 40)
    assert pair.mean_b == pytest.approx(4 / 40)
    assert pair.difference == pytest.approx(-1 / 40)
    assert (pair.n, pair.better, pair.worse) == (2, 1, 1)


def test_words_invented_where_none_were_said_count_in_the_difference(compared: Compared) -> None:
    pair = pair_of(
        compared(words("spleeter", [(1, 10), (0, 0)]), words("spleeter", [(1, 10), (4, 0)])),
        measure=WER,
    )
    assert pair.difference == pytest.approx(0.4)
    assert (pair.n, pair.worse) == (2, 1)


def test_where_neither_direction_is_better_no_clip_is_and_no_verdict_is_given(
    compared: Compared,
) -> None:
    a, b = (sound("spleeter", np.array(FOUR) * k, measure=OUTPUT_RATIO) for k in (1.0, 3.0))
    pair = pair_of(compared(a, b), measure=OUTPUT_RATIO)
    assert (pair.better, pair.worse, pair.verdict, pair.same) == (0, 0, "", False)


def test_costs_are_medians_of_warm_cells_and_earlier_ones_are_marked(compared: Compared) -> None:
    def speed(values: Sequence[float], **more: Any) -> list[Row]:
        cold = cost("spleeter", "simple-0", {"real-time-factor": 9.0}, "cold", **more)
        warm = [
            row
            for index, value in enumerate(values, start=1)
            for row in cost(
                "spleeter", f"simple-{index}", {"real-time-factor": value}, "warm", **more
            )
        ]
        return [*cold, *warm]

    (pair,) = compared(speed([0.1, 0.2, 0.3]), speed([0.25, 0.35, 0.15], reused=True)).costs
    assert pair.a is not None
    assert pair.b is not None
    assert (pair.a.value, pair.a.n, pair.a.earlier) == (0.2, 3, False)
    assert (pair.b.value, pair.b.n, pair.b.earlier) == (0.25, 3, True)
    assert pair.change == pytest.approx(0.25)


# What may not be compared


def test_a_clip_of_the_same_name_with_other_sound_is_said_and_not_compared(
    compared: Compared,
) -> None:
    a = sound("spleeter", FOUR)
    b = changed(sound("spleeter", [1.0, 2.0, 3.0, 40.0]), "simple-3", clip_sha256="cd" * 32)
    comparison = compared(a, b)
    pair = pair_of(comparison)
    assert (pair.n, pair.difference) == (3, 0.0)
    assert "other sound" in pair.lost["simple-3"]
    for text in (page.markdown(comparison), said_by(comparison)):
        assert "Not compared: simple-3: other sound under the same name" in text
        assert "abababababab in A, cdcdcdcdcdcd in B" in text


def test_a_clip_with_another_transcript_is_compared_by_sound_but_not_by_words(
    compared: Compared,
) -> None:
    a = [*sound("spleeter", [1.0, 1.0]), *words("spleeter", [(1, 4), (1, 4)])]
    heard = changed(words("spleeter", [(1, 4), (3, 4)]), "simple-1", transcript="said otherwise")
    b = [*sound("spleeter", [2.0, 2.0]), *heard]
    comparison = compared(a, b)
    assert pair_of(comparison).n == 2
    assert pair_of(comparison, measure=WER).difference == 0.0
    assert "Words not compared: simple-1: another transcript" in said_by(comparison)


def test_a_clip_that_moved_to_another_scenario_is_not_compared(compared: Compared) -> None:
    a = sound("spleeter", [1.0, 2.0])
    comparison = compared(a, changed(a, "simple-1", scenario="crowd"))
    assert comparison.clips.not_compared == {
        "simple-1": "another scenario: simple in A, crowd in B"
    }


def test_methods_clips_and_metrics_of_one_run_only_are_listed(compared: Compared) -> None:
    a = [*sound("mixture", [1.0] * 3), *sound("spleeter", [1.0] * 3), *words("mixture", [(1, 4)])]
    b = [
        *sound("mixture", [1.0] * 2),
        *sound("mixture", [1.0], start=7),
        *sound("nn-filter", [1.0]),
    ]
    text = said_by(compared(a, b))
    for said in (
        "1 method only in A: spleeter.",
        "1 method only in B: nn-filter.",
        "1 metric only in A: wer.",
        "2 clips compared.",
        "Not compared: simple-2: the clip is not in B.",
        "1 clip only in B: simple-7.",
    ):
        assert said in text


def test_a_failed_cell_is_told_with_its_reason(compared: Compared) -> None:
    a = [*sound("mixture", [1.0, 2.0]), *sound("spleeter", [1.0, 2.0])]
    b = [*sound("mixture", [1.0, 2.0]), *sound("spleeter", [1.0]), lost("spleeter", "simple-1")]
    comparison = compared(a, b)
    assert pair_of(comparison).lost == {"simple-1": "failed: it broke"}
    assert "spleeter: only in A on simple-1 (failed: it broke)." in said_by(comparison)


def test_runs_without_a_common_clip_say_so(compared: Compared) -> None:
    comparison = compared(sound("spleeter", [1.0]), sound("spleeter", [1.0], start=5))
    assert "0 clips compared." in said_by(comparison)
    assert len(gated(comparison, "si-sdr=9")) == 1


# What changed

RECEIPT: dict[str, Any] = {
    "started": "2026-01-02T03:04:05+0000",
    "command": "sepbench run",
    "seconds": 3.0,
    "versions": {"numpy": "2.0", "torch": "2.1"},
    "weights": {"net": {"a.bin": "1" * 64}},
    "sources": {"spleeter": "2" * 64},
    "selection": {"settings": []},
}


def test_versions_weights_sources_settings_and_options_that_differ_are_said(
    compared: Compared,
) -> None:
    receipt = {
        **RECEIPT,
        "started": "2026-02-02T03:04:05+0000",
        "seconds": 9.0,
        "versions": {"numpy": "2.0", "torch": "2.2", "av": "1"},
        "weights": {"net": {"a.bin": "3" * 64}},
        "sources": {"spleeter": "4" * 64},
        "selection": {"settings": ["spleeter.power=3"]},
    }
    a = changed(sound("spleeter", FOUR), options='{"power": 2.0}', method_key="k")
    b = changed(sound("spleeter", FOUR), options='{"power": 3.0}', method_key="l")
    comparison = compared(a, b, (RECEIPT, receipt))
    assert changes(comparison.a, comparison.b) == (
        Change("versions", "torch", "2.1", "2.2"),
        Change("versions", "av", "", "1"),
        Change("weights", "net/a.bin", "1" * 12, "3" * 12),
        Change("sources", "spleeter", "2" * 12, "4" * 12),
        Change("selection", "settings", "", "spleeter.power=3"),
        Change("options", "spleeter.power", "2.0", "3.0"),
    )
    assert computed_otherwise(comparison.a, comparison.b, "method") == ("spleeter",)
    text = said_by(comparison)
    assert "a (2026-01-02)" in text
    assert "torch" in text


def test_equal_receipts_and_missing_ones_are_told_apart(compared: Compared) -> None:
    rows = sound("spleeter", FOUR)
    assert "are the same." in said_by(compared(rows, rows, (RECEIPT, RECEIPT)))
    text = said_by(compared(rows, rows))
    assert "A has no receipt (run.json)" in text
    assert "are the same." not in text


# The gate


def test_the_gate_knows_the_direction_of_each_metric(compared: Compared) -> None:
    a = [*sound("spleeter", FOUR), *words("spleeter", [(2, 10)])]
    b = [*sound("spleeter", [x - 0.5 for x in FOUR]), *words("spleeter", [(4, 10)])]
    worse, better = compared(a, b), compared(b, a)
    assert gated(better, "si-sdr=0", "wer=0") == []
    assert gated(worse, "si-sdr=0.6", "wer=0.21") == []
    assert gated(worse, "si-sdr=0.4") == [
        "worse: spleeter in simple, si-sdr of vocals: 2.5 to 2.0 dB (tolerated: 0.4)"
    ]
    assert gated(worse, "wer=0.1") == [
        "worse: spleeter in simple, wer of vocals, by whisper: 0.20 to 0.40 (tolerated: 0.1)"
    ]


def test_a_difference_of_the_tolerance_itself_is_tolerated(compared: Compared) -> None:
    comparison = compared(sound("spleeter", [0.3] * 4), sound("spleeter", [0.2] * 4))
    assert gated(comparison, "si-sdr=0.1") == []
    assert len(gated(comparison, "si-sdr=0.0999")) == 1


def test_a_tolerance_in_percent_is_a_share_of_what_was(compared: Compared) -> None:
    a, b = (
        cost("spleeter", "simple-0", {"real-time-factor": value}, "warm") for value in (0.5, 0.6)
    )
    comparison = compared([*a, *sound("spleeter", [-8.0])], [*b, *sound("spleeter", [-9.0])])
    assert gated(comparison, "real-time-factor=20%") == []
    (line,) = gated(comparison, "real-time-factor=19%")
    assert line == "worse: spleeter, real-time-factor: 0.50 to 0.60 (tolerated: 19%)"
    assert gated(comparison, "si-sdr=13%") == []
    assert len(gated(comparison, "si-sdr=12%")) == 1


def test_a_score_that_is_gone_counts_as_worse_whatever_the_reason(compared: Compared) -> None:
    a = [*sound("spleeter", FOUR), *sound("nn-filter", FOUR)]
    b = [*sound("spleeter", [9.0] * 3), lost("spleeter", "simple-3")]
    assert gated(compared(a, b), "si-sdr=100") == [
        "worse: nn-filter in simple, si-sdr of vocals: 4 scores of A without counterpart "
        "(simple-0, simple-1, simple-2, simple-3: no such score in B)",
        "worse: spleeter in simple, si-sdr of vocals: 1 score of A without counterpart "
        "(simple-3: failed: it broke)",
    ]


def test_a_fall_from_infinity_is_worse_by_any_tolerance(compared: Compared) -> None:
    comparison = compared(sound("clean", [INF] * 2), sound("clean", [140.0] * 2))
    assert len(gated(comparison, "si-sdr=1000")) == 1
    assert len(gated(comparison, "si-sdr=99%")) == 1


def test_a_cost_that_b_did_not_measure_itself_is_said(compared: Compared) -> None:
    a, b = (
        cost("spleeter", "simple-0", {"run-time": 0.5}, "warm", reused=reused)
        for reused in (False, True)
    )
    comparison = compared(a, b)
    tolerances = gate.parse_tolerances(["run-time=20%"])
    assert gate.not_measured_anew(comparison, tolerances) == [
        "run-time of spleeter: measured by an earlier run, not by B"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("si-sdr", "METRIC=TOLERANCE"),
        ("=0.1", "METRIC=TOLERANCE"),
        ("si-sdr=little", "METRIC=TOLERANCE"),
        ("si-sdr=-1", "METRIC=TOLERANCE"),
        ("si-sdr=nan", "METRIC=TOLERANCE"),
        ("si-sdr=inf", "METRIC=TOLERANCE"),
        ("sisdr=0.1", "Did you mean si-sdr?"),
        ("output-ratio=1", "neither direction"),
    ],
)
def test_a_gate_that_cannot_be_is_refused(compared: Compared, text: str, said: str) -> None:
    rows = [*sound("spleeter", FOUR), *sound("spleeter", FOUR, measure=OUTPUT_RATIO)]
    with pytest.raises(UserError, match=said.replace("?", r"\?")):
        gated(compared(rows, rows), text)


# Runs found and read


def test_a_run_is_found_by_folder_by_file_and_by_name(tmp_path: Path) -> None:
    folder = store_run(tmp_path / "reports" / "night", sound("clean", [INF, 1.0]), **RECEIPT)
    for given in (folder, folder / "rows.parquet", folder / "rows.csv", "night"):
        run = find_run(str(given), tmp_path / "reports")
        assert run.date == "2026-01-02"
        assert list(run.rows["value"]) == [INF, 1.0]
    assert run_folders(tmp_path / "reports") == [folder]


def test_rows_are_the_same_from_csv_as_from_parquet(tmp_path: Path) -> None:
    rows = [
        *changed(words("spleeter", [(1, 4)], hypothesis="NA null", transcript="none"), clip="001"),
        *sound("spleeter", [1.5, -INF]),
        lost("nn-filter", "001"),
    ]
    folder = store_run(tmp_path / "run", rows)
    runs = [read_run(folder / name, name) for name in ("rows.parquet", "rows.csv")]
    assert runs[0].clips == runs[1].clips
    comparison = compare(*runs)
    assert all(pair.same for scenario in comparison.scenarios for pair in scenario.pairs)
    assert list(runs[1].rows["hypothesis"].dropna()) == ["NA null"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.parquet", b"no table", "rows.parquet cannot be read"),
        ("rows.csv", b"a,b\n1,2\n", "rows.csv is no table of a run's rows: it lacks suite"),
        ("rows.csv", b"\xff\xfe\x00", "rows.csv cannot be read"),
        ("rows.csv", b"", "rows.csv cannot be read"),
        ("notes.txt", b"", "notes.txt holds no rows"),
    ],
)
def test_a_file_that_is_no_run_is_refused(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        find_run(str(tmp_path / name), tmp_path)


def test_numbers_that_are_none_and_a_damaged_receipt_are_refused(tmp_path: Path) -> None:
    folder = store_run(tmp_path / "run", sound("spleeter", [1.25]))
    (folder / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"run\.json cannot be read"):
        read_run(folder, "run")
    (folder / "run.json").write_text("[]")
    with pytest.raises(UserError, match="not the receipt"):
        read_run(folder, "run")
    (folder / "run.json").unlink()
    csv = folder / "rows.csv"
    csv.write_text(csv.read_text().replace("1.25", "loud"))
    with pytest.raises(UserError, match=r"rows\.csv cannot be read: .*loud"):
        read_run(csv, "run")


def test_the_rows_of_two_runs_in_one_file_are_refused(tmp_path: Path) -> None:
    rows = sound("spleeter", [1.0, 2.0])
    mixed = [*rows, *changed(sound("nn-filter", [1.0]), clip_sha256="cd" * 32)]
    with pytest.raises(UserError, match="clip simple-0 has two contents"):
        read_run(store_run(tmp_path / "run", mixed), "run")
    write_rows(tmp_path / "none", frame_of([]))
    with pytest.raises(UserError, match="has no rows"):
        read_run(tmp_path / "none", "none")


# The pages and the verb


def said_by(comparison: RunComparison) -> str:
    """All that the comparison says, as text."""
    parts = [f"{run.name} ({run.date})" for run in (comparison.a, comparison.b)]
    for section in page.sections(comparison):
        parts += [section.heading, *section.sentences]
        for grid in section.grids:
            parts += [grid.title, *grid.notes, *(" ".join(row) for row in grid.rows)]
    return "\n".join(parts)


def test_the_page_shows_what_differs_and_names_what_does_not(compared: Compared) -> None:
    a = [*sound("mixture", FOUR), *sound("spleeter", FOUR), *words("mixture", [(1, 4)])]
    b = [
        *sound("mixture", FOUR),
        *sound("spleeter", [x + 1 + x / 100 for x in FOUR]),
        *words("mixture", [(1, 4)]),
    ]
    text = page.markdown(compared(a, b))
    assert "The same for every method and clip: wer of vocals by whisper ↓." in text
    assert "The same on every clip: mixture." in text
    (line,) = [line for line in text.splitlines() if line.startswith("| spleeter | 2.5")]
    assert "| 3.5 | **+1.02** |" in line
    assert line.endswith("| 4 | 0 | 4 |")


def test_text_of_others_cannot_break_the_page(compared: Compared) -> None:
    rows = changed(sound("spleeter", [1.0, 2.0]), method="a|b<script>")
    other = changed(sound("spleeter", [2.0, 2.0]), method="a|b<script>")
    text = page.markdown(compared(rows, other))
    assert "<script>" not in text
    assert r"a\|b&lt;script&gt;" in text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.126, "dB", "+0.13"),
        (-0.0123, "1", "-0.012"),
        (1e-5, "dB", "+1e-05"),
        (0.0, "dB", "0"),
        (INF, "dB", "+∞"),
        (-INF, "dB", "-∞"),
    ],
)
def test_a_difference_is_never_rounded_to_nothing(value: float, unit: str, text: str) -> None:
    assert page.signed(value, unit) == text


def test_the_page_is_the_same_whatever_the_order_of_the_rows(compared: Compared) -> None:
    a = [*sound("mixture", FOUR), *sound("spleeter", FOUR), lost("nn-filter", "simple-1")]
    b = [*sound("mixture", [0.0] * 4), *sound("spleeter", [9.0] * 3)]
    assert page.markdown(compared(a, b)) == page.markdown(compared(a[::-1], b[::-1]))


def test_compare_exits_with_1_when_worse_and_writes_the_page(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    store_run(reports / "before", sound("spleeter", FOUR), **RECEIPT)
    store_run(reports / "after", sound("spleeter", [x - 1 for x in FOUR]), **RECEIPT)
    out = tmp_path / "page.md"
    command = ["compare", "before", "after", "-o", str(out), "--fail-if-worse"]
    done = sepbench(*command, "si-sdr=0.1", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "worse: spleeter in simple, si-sdr of vocals: 2.5 to 1.5 dB" in done.stdout
    assert "-1.00" in done.stdout
    assert "**-1.00**" not in out.read_text(encoding="utf-8")  # equal differences: no interval
    assert "-1.00" in out.read_text(encoding="utf-8")
    done = sepbench(*command, "si-sdr=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Nothing is worse than tolerated: si-sdr=1" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["befor", "before"], "Did you mean before?"),
        (["before", "before", "--metrics", "sisdr"], "Did you mean si-sdr?"),
        (["before", "before", "--fail-if-worse", "wer=1"], "neither run has such a score"),
        (["before", "."], "is not the folder of a run"),
        (
            ["before", "before", "-o", "reports"],
            "reports cannot be written: a folder is in the way",
        ),
        (["before", "before", "-o", "page/x.md"], "cannot be written: a file is in the way"),
    ],
)
def test_compare_refuses_in_one_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    store_run(tmp_path / "reports" / "before", sound("spleeter", FOUR))
    (tmp_path / "page").write_text("a file")
    assert said in refused("compare", *arguments, cwd=tmp_path)


def test_rows_of_one_score_twice_are_refused_with_the_name_of_the_run(compared: Compared) -> None:
    rows = sound("spleeter", [1.0])
    with pytest.raises(UserError, match="b: two rows for spleeter on simple-0"):
        compared(rows, [*rows, *rows])


def test_only_the_metrics_asked_for_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, shift in (("a", 0.0), ("b", 1.0)):
        rows = [
            *sound("spleeter", [x + shift for x in FOUR]),
            *sound("spleeter", [x + shift for x in FOUR], measure=OUTPUT_RATIO),
        ]
        store_run(tmp_path / name, rows)
    assert not compare_runs("a", "b", reports=tmp_path, metrics=["output-ratio"])
    said = capsys.readouterr().out
    assert "output-ratio of outputs" in said
    assert "si-sdr" not in said
