"""What the judges heard, clip by clip, beside what was said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from benchmarks.report.markdown import DASH, counted, details, escape, number, table
from benchmarks.summary import Table

if TYPE_CHECKING:
    import pandas as pd

# The rows do not say it. In another language the alignment may differ from the one counted, and
# then the words are shown as they were heard.
LANGUAGE = "en"
LONGEST_WORDS = 150


def word_errors(rows: pd.DataFrame, table_: Table) -> str:
    """For each clip of a scenario and each judge, a part that opens: transcript and hypotheses.

    Empty when no words were judged.
    """
    heard = rows[(rows["metric"] == "wer") & (rows["scenario"] == table_.scenario)]
    judges = heard["judge"].nunique()
    parts = []
    for (clip, judge), own in heard.groupby(["clip", "judge"], sort=True):
        by_method = {str(row["method"]): row for row in own.to_dict("records")}
        ordered = {name: by_method[name] for name in table_.families if name in by_method}
        if any(row["status"] == "ok" for row in ordered.values()):
            label = f"{clip} ({judge})" if judges > 1 else str(clip)
            parts.append(_clip(label, ordered, table_))
    return "\n\n".join(parts)


def _clip(label: str, by_method: dict[str, dict[Any, Any]], table_: Table) -> str:
    one = next(row for row in by_method.values() if row["status"] == "ok")
    words = counted(int(one["reference_units"]), "word")
    rows = [["**was said**", "", "", "", "", escape(one["transcript"])]]
    for method, row in by_method.items():
        name = escape(method)
        rows.append([f"*{name}*" if table_.families[method] == "oracle" else name, *_heard(row)])
    header = ["", "WER", "S", "D", "I", "words"]
    return details(f"{label}: {words}", table(header, rows, align="lrrrrl"))


def _heard(row: dict[Any, Any]) -> list[str]:
    """WER, substitutions, deletions, insertions and the hypothesis; or why there are none."""
    if row["status"] != "ok":
        return [DASH, DASH, DASH, DASH, f"{row['status']}: {escape(row['reason'])}"]
    counts = [str(int(row[kind])) for kind in ("substitutions", "deletions", "insertions")]
    hypothesis = row["hypothesis"] if isinstance(row["hypothesis"], str) else ""
    marked = _marked(row["transcript"], hypothesis, [int(count) for count in counts])
    return [number(row["value"], "1"), *counts, marked or escape(hypothesis) or "(nothing)"]


def _marked(transcript: str, hypothesis: str, counts: list[int]) -> str:
    """What was heard, with errors marked; empty where this alignment is not the one counted."""
    from metrics.words import align

    steps = align(transcript, hypothesis, LANGUAGE)
    kinds = [word.step for word in steps]
    if [kinds.count(step) for step in ("substitute", "delete", "insert")] != counts:
        return ""
    return _with_errors((word.reference, word.hypothesis) for word in steps)


def _with_errors(steps: Iterable[tuple[str, str]]) -> str:
    """Pairs of a word said and a word heard: what was missed is struck out, what is wrong bold."""
    found: list[str] = []
    for said, heard in steps:
        if len(found) >= LONGEST_WORDS:  # a recogniser may repeat itself without end
            return " ".join([*found, "…"])
        if said == heard:
            found.append(escape(said))
            continue
        found += [f"~~{escape(said)}~~"] * bool(said) + [f"**{escape(heard)}**"] * bool(heard)
    return " ".join(found)
