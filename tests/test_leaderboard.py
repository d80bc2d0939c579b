"""The leaderboard: what is ranked with what, in which order, and what is said of the rest."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.errors import UserError
from benchmarks.leaderboard import Ranking, leaderboard, rank, write_leaderboard
from benchmarks.rows import Row
from benchmarks.runs import read_run
from benchmarks.summary import Measure, summarise
from tests.stored_runs import changed, store_run
from tests.test_command_line import refused, sepbench
from tests.test_summary import OUTPUT_RATIO, lost, sound, words

GAIN = Measure("si-sdr-improvement", "vocals", "", "dB", "higher")


def gains(method: str, values: Iterable[float], **more: Any) -> list[Row]:
    return sound(method, values, measure=GAIN, **more)


def receipt(day: int, *settings: str) -> dict[str, Any]:
    return {
        "started": f"2026-01-{day:02}T10:00:00+0000",
        "command": "sepbench run",
        "versions": {"sepbench": f"0.{day}", "torch": "2.1"},
        "selection": {"settings": list(settings)},
    }


def ranked(*folders: Path) -> list[Ranking]:
    runs = [read_run(folder, folder.name) for folder in folders]
    return rank({run: summarise(run.rows) for run in runs})


def placed(ranking: Ranking) -> list[tuple[str, str, float]]:
    return [(entry.method, entry.run.name, entry.mean) for entry in ranking.best]


def test_the_best_run_of_each_method_is_ranked_and_of_equals_the_oldest(tmp_path: Path) -> None:
    one = [*gains("spleeter", [1.0, 3.0]), *gains("nn-filter", [4.0, 4.0])]
    two = [*gains("spleeter", [5.0, 7.0]), *gains("nn-filter", [4.0, 4.0])]
    (ranking,) = ranked(
        store_run(tmp_path / "b", one, **receipt(2)),
        store_run(tmp_path / "a", two, **receipt(3)),
        store_run(tmp_path / "c", gains("spleeter", [0.0, 0.0])),
    )
    assert placed(ranking) == [("spleeter", "a", 6.0), ("nn-filter", "b", 4.0)]
    assert ranking.runs == {"spleeter": 3, "nn-filter": 2}


def test_of_error_rates_the_lowest_is_the_best(tmp_path: Path) -> None:
    rows = [*words("spleeter", [(1, 10)]), *words("mixture", [(5, 10)])]
    (ranking,) = ranked(
        store_run(tmp_path / "a", rows), store_run(tmp_path / "b", words("spleeter", [(2, 10)]))
    )
    assert placed(ranking) == [("spleeter", "a", 0.1), ("mixture", "a", 0.5)]


def test_runs_on_other_clips_are_never_mixed(tmp_path: Path) -> None:
    rows = gains("spleeter", [1.0, 2.0])
    other = changed(gains("spleeter", [9.0, 9.0]), "simple-1", clip_sha256="cd" * 32)
    rankings = ranked(store_run(tmp_path / "a", rows), store_run(tmp_path / "b", other))
    assert sorted(placed(one)[0][2] for one in rankings) == [1.5, 9.0]
    assert len({one.contest.clips_hash for one in rankings}) == 2


def test_a_run_on_some_of_the_clips_has_a_ranking_of_its_own_and_says_so(tmp_path: Path) -> None:
    whole = store_run(tmp_path / "whole", gains("spleeter", [1.0, 1.0, 1.0]))
    part = store_run(tmp_path / "part", gains("spleeter", [9.0]))
    assert [placed(one)[0][1:] for one in ranked(part, whole)] == [("whole", 1.0), ("part", 9.0)]
    write_leaderboard(tmp_path, tmp_path / "leaderboard.md")
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "(3 clips, `" in text
    assert "(partial: 1 of 3 clips, `" in text


def test_another_transcript_parts_the_words_but_not_the_sound(tmp_path: Path) -> None:
    sounds, heard = gains("spleeter", [1.0]), words("spleeter", [(1, 4)])
    rankings = ranked(
        store_run(tmp_path / "a", [*sounds, *heard]),
        store_run(tmp_path / "b", [*sounds, *changed(heard, transcript="said otherwise")]),
    )
    assert [one.contest.measure.metric for one in rankings] == ["si-sdr-improvement", "wer", "wer"]


def test_another_setting_of_the_judge_parts_the_words_and_one_of_the_method_does_not(
    tmp_path: Path,
) -> None:
    rows = [*gains("spleeter", [1.0]), *words("spleeter", [(1, 4)])]
    rankings = ranked(
        store_run(tmp_path / "a", rows, **receipt(1)),
        store_run(tmp_path / "b", rows, **receipt(2, "whisper.model=small.en")),
        store_run(tmp_path / "c", gains("spleeter", [2.0]), **receipt(3, "spleeter.power=3")),
    )
    assert [one.contest.settings for one in rankings] == [(), (), ("whisper.model=small.en",)]
    assert rankings[0].best[0].options == "power=3"
    assert "with whisper.model=small.en" in rankings[2].contest.name


def test_a_method_that_lacks_clips_is_named_and_not_ranked(tmp_path: Path) -> None:
    rows = [*gains("mixture", [0.0, 0.0]), *gains("spleeter", [9.0]), lost("spleeter", "simple-1")]
    (ranking,) = ranked(store_run(tmp_path / "a", rows))
    assert [entry.method for entry in ranking.best] == ["mixture"]
    assert [entry.method for entry in ranking.incomplete] == ["spleeter"]
    alone = [*gains("spleeter", [9.0]), lost("spleeter", "simple-1")]
    (ranking,) = ranked(tmp_path / "a", store_run(tmp_path / "b", alone))
    assert [entry.run.name for entry in ranking.incomplete] == ["a", "b"]


def test_a_lone_run_whose_method_failed_on_a_clip_is_not_whole(tmp_path: Path) -> None:
    """Nobody else has a score of that clip, but it is there."""
    rows = [*gains("spleeter", [9.0]), lost("spleeter", "simple-1")]
    (ranking,) = ranked(store_run(tmp_path / "a", rows))
    assert ranking.best == ()
    assert len(ranking.incomplete) == 1


def test_oracles_stand_among_the_rest_without_a_place_and_equals_share_theirs(
    tmp_path: Path,
) -> None:
    rows = [
        *gains("mixture", [0.0]),
        *gains("clean", [math.inf]),
        *gains("spleeter", [3.0]),
        *gains("nn-filter", [3.0]),
    ]
    store_run(tmp_path / "a", rows)
    write_leaderboard(tmp_path, tmp_path / "leaderboard.md")
    lines = (tmp_path / "leaderboard.md").read_text(encoding="utf-8").splitlines()
    shown = [line.split(" | ")[:3] for line in lines if line.startswith(("| 1", "| 3", "| –"))]
    assert shown == [
        ["| –", "*clean*", "∞"],
        ["| 1", "**nn-filter**", "3.0"],
        ["| 1", "**spleeter**", "3.0"],
        ["| 3", "mixture", "0.0"],
    ]


def test_the_page_names_runs_dates_versions_and_what_was_left_out(tmp_path: Path) -> None:
    store_run(tmp_path / "night", gains("spleeter", [1.0]), **receipt(7))
    (tmp_path / "night" / "report.md").write_text("report")
    store_run(tmp_path / "other", sound("spleeter", [1.0], measure=OUTPUT_RATIO))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "rows.parquet").write_bytes(b"broken")
    (tmp_path / ".ledger").mkdir()
    (tmp_path / "empty").mkdir()
    write_leaderboard(tmp_path, tmp_path / "leaderboard.md")
    text = (tmp_path / "leaderboard.md").read_text(encoding="utf-8")
    assert "| 1.0 | [night](night/report.md) | 2026-01-07 | 1 | 0.7 |" in text
    assert "Without a score to rank by: other." in text
    assert "rows.parquet cannot be read" in text
    assert "empty" not in text


def test_links_lead_from_the_page_to_the_reports(tmp_path: Path) -> None:
    folder = store_run(tmp_path / "reports" / "a (1)", gains("spleeter", [1.0]))
    (folder / "report.md").write_text("report")
    write_leaderboard(tmp_path / "reports", tmp_path / "pages" / "board.md")
    text = (tmp_path / "pages" / "board.md").read_text(encoding="utf-8")
    assert "(../reports/a%20%281%29/report.md)" in text


def test_the_page_is_the_same_whatever_the_order_of_runs_and_rows(tmp_path: Path) -> None:
    rows = [
        *gains("spleeter", [1.0, 2.0]),
        *gains("mixture", [0.0, 0.0]),
        *words("mixture", [(1, 4)]),
    ]
    folders = [
        store_run(tmp_path / "a", rows, **receipt(2)),
        store_run(tmp_path / "b", changed(rows, scenario="crowd"), **receipt(1)),
        store_run(tmp_path / "c", rows[:1]),
    ]
    pages = set()
    for order in (folders, folders[::-1]):
        store_run(folders[0], rows if order is folders else rows[::-1], **receipt(2))
        runs = [read_run(folder, folder.name) for folder in order]
        pages.add(leaderboard({run: summarise(run.rows) for run in runs}))
    assert len(pages) == 1


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no run in .*; sepbench run makes one"):
        write_leaderboard(tmp_path, tmp_path / "leaderboard.md")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "rows.csv").write_bytes(b"")
    with pytest.raises(UserError, match=r"no run in .* that can be read: .*rows\.csv"):
        write_leaderboard(tmp_path, tmp_path / "leaderboard.md")
    with pytest.raises(UserError, match="is not a folder"):
        write_leaderboard(tmp_path / "nowhere", tmp_path / "leaderboard.md")
    assert not (tmp_path / "leaderboard.md").exists()


def test_the_verb_writes_the_page_into_the_reports(tmp_path: Path) -> None:
    store_run(tmp_path / "reports" / "a", gains("spleeter", [1.0]))
    done = sepbench("leaderboard", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "reports/leaderboard.md"
    assert "spleeter" in (tmp_path / "reports" / "leaderboard.md").read_text(encoding="utf-8")
    assert "is not a folder" in refused("leaderboard", "nowhere", cwd=tmp_path)
