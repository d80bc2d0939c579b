"""What the judges heard, clip by clip, beside what was said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from benchmarks.report.markdown import DASH, counted, details, escape, number, table
from benchmarks.summary import Table

if TYPE_CHECKING:
    import pandas as pd

# The rows do not say which language was spoken. The normaliser has one way with English, one with
# languages that write spaces between words and one with those that don't; the alignment that was
# counted is of one of these.
LANGUAGES = ("en", "de", "zh")
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
        if any(map(_was_heard, ordered.values())):
            label = f"{clip} ({judge})" if judges > 1 else str(clip)
            parts.append(_clip(label, ordered, table_))
    return "\n\n".join(parts)


def language_counted(row: dict[Any, Any]) -> str | None:
    """A language whose alignment of what was said and heard is the one that the row counts.

    None where the counts come from other texts.
    """
    from metrics.words import align

    counts = [row[kind] for kind in ("substitutions", "deletions", "insertions")]
    for language in LANGUAGES:
        kinds = [word.step for word in align(row["transcript"], row["hypothesis"], language)]
        if [kinds.count(step) for step in ("substitute", "delete", "insert")] == counts:
            return language
    return None


def _clip(label: str, by_method: dict[str, dict[Any, Any]], table_: Table) -> str:
    one = next(row for row in by_method.values() if _was_heard(row))
    words = counted(int(one["reference_units"]), "word")
    rows = [["**was said**", "", "", "", "", escape(one["transcript"])]]
    for method, row in by_method.items():
        name = escape(method)
        rows.append([f"*{name}*" if table_.families[method] == "oracle" else name, *_heard(row)])
    header = ["", "WER", "S", "D", "I", "words"]
    return details(f"{label}: {words}", table(header, rows, align="lrrrrl"))


def _was_heard(row: dict[Any, Any]) -> bool:
    """Whether a judge gave words; of a clip without speech they have no rate, but count."""
    return bool(row["status"] == "ok" or row["reference_units"] == 0)


def _heard(row: dict[Any, Any]) -> list[str]:
    """WER, substitutions, deletions, insertions and the hypothesis; or why there are none."""
    if not _was_heard(row):
        return [DASH, DASH, DASH, DASH, f"{row['status']}: {escape(row['reason'])}"]
    row = row | {"hypothesis": row["hypothesis"] if isinstance(row["hypothesis"], str) else ""}
    counts = [str(int(row[kind])) for kind in ("substitutions", "deletions", "insertions")]
    rate = number(row["value"], "1") if row["status"] == "ok" else DASH
    return [rate, *counts, _marked(row) or escape(row["hypothesis"]) or "(nothing)"]


def _marked(row: dict[Any, Any]) -> str:
    """What was heard, with errors marked; empty where no alignment is the one counted."""
    from metrics.words import align

    language = language_counted(row)
    steps = align(row["transcript"], row["hypothesis"], language) if language else []
    return _with_errors((word.reference, word.hypothesis) for word in steps)


def _with_errors(steps: Iterable[tuple[str, str]]) -> str:
    """Pairs of a word said and a word heard, each kind of error with a mark of its own."""
    found: list[str] = []
    for said, heard in steps:
        if len(found) >= LONGEST_WORDS:  # a recogniser may repeat itself without end
            return " ".join([*found, "…"])
        found.append(_step(escape(said), escape(heard)))
    return " ".join(found)


def _step(said: str, heard: str) -> str:
    if said == heard:
        return said
    if not said:
        return f"**+{heard}**"
    return f"~~{said}~~ → **{heard}**" if heard else f"~~{said}~~"
