"""Clips from LibriMix: Libri2Mix and Libri3Mix, as its own scripts generate them.

    Libri2Mix/wav16k/max/test/{mix_clean,mix_both,mix_single,s1,s2,noise}/ID.wav
    Libri2Mix/wav16k/max/metadata/mixture_test_mix_clean.csv

An ID names the utterances of LibriSpeech in it: ``1089-134686-0000_121-127105-0031``. Mixtures are
as long as the longest of them (``max``), or cut to the shortest (``min``).
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks import media
from benchmarks.errors import UserError
from benchmarks.importing.clips import Material
from benchmarks.importing.suite_folder import Origin
from benchmarks.importing.tracks import spread
from benchmarks.layouts import Stem

Mix = Literal["mix_clean", "mix_both", "mix_single"]
Rate = Literal["16k", "8k"]
Mode = Literal["max", "min"]
MIXES: tuple[Mix, ...] = ("mix_clean", "mix_both", "mix_single")
DATA_SETS = ("Libri2Mix", "Libri3Mix")
SUBSETS = ("train-100", "train-360", "dev", "test")
RATES, MODES = ("16k", "8k"), ("max", "min")
LIBRISPEECH_PARTS = (
    "train-clean-100", "train-clean-360", "dev-clean", "test-clean",
)  # fmt: skip
TERMS = "LibriSpeech is under CC BY 4.0"
NOISE_TERMS = "the noise of WHAM! under CC BY-NC 4.0: not for commercial use"


@dataclass(frozen=True)
class Choice:
    """Which of the mixtures, as the options of the command line name them.

    Args:
        subset: ``train-100``, ``train-360``, ``dev`` or ``test``.
        mix: ``mix_clean`` (talkers), ``mix_both`` (talkers and noise), ``mix_single`` (the first
            talker and noise).
        rate: ``16k`` or ``8k``; by default the first of them that is there.
        mode: ``max`` or ``min``; by default the first of them that is there.
        talker: which talker is the target, from 1.
        count: how many mixtures, spread evenly over all of them; 0 means all.
    """

    subset: str = "test"
    mix: Mix = "mix_clean"
    rate: Rate | None = None
    mode: Mode | None = None
    talker: int = 1
    count: int = 0


def librimix(
    path: Path, choice: Choice, librispeech: Path | None = None
) -> tuple[list[Material], Origin]:
    """The clips of LibriMix: one talker is the target, the mixture less this talker the background.

    Args:
        path: ``Libri2Mix`` or ``Libri3Mix``, or a folder in it down to that of a subset.
        choice: which of the mixtures.
        librispeech: a folder of LibriSpeech, for the words that are said.

    Raises:
        UserError: no such mixtures in the folder, or some are missing, or no words are found.
    """
    if choice.mix == "mix_single" and choice.talker != 1:
        raise UserError("mix_single holds the first talker only; leave out --talker")
    inside = _subset_folder(path, choice)
    names = spread(_names(inside, choice.mix), choice.count)
    materials = [_material(inside, name, choice, librispeech) for name in names]
    if librispeech is not None and all(each.words is None for each in materials):
        raise UserError(_why_no_words(librispeech, inside))
    return materials, _origin(inside, path, choice)


def _subset_folder(path: Path, choice: Choice) -> Path:
    """The folder of the mixtures' folders, from wherever in the data set a path points to."""
    if not path.is_dir():
        what = "is a file: unpack it, and name its folder" if path.exists() else "does not exist"
        raise UserError(f"{path} {what}")
    here = path.resolve()
    found = [name for name in DATA_SETS if (here / name).is_dir()]
    if len(found) > 1:
        raise UserError(f"{path} holds {' and '.join(found)}; name one of them")
    here = here / found[0] if found else here
    for option, wanted, known in (
        ("rate", choice.rate, RATES),
        ("mode", choice.mode, MODES),
        ("subset", choice.subset, SUBSETS),
    ):
        before = "wav" if option == "rate" else ""
        there = [name for name in known if (here / f"{before}{name}").is_dir()]
        if there and wanted not in (None, *there):
            raise UserError(f"{here} has no {wanted}; there is --{option} {', '.join(there)}")
        here = here / f"{before}{wanted or there[0]}" if there else here
    for needed, option in ((choice.mix, "mix"), (f"s{choice.talker}", "talker")):
        if not (here / needed).is_dir():
            there = [name for name in MIXES if (here / name).is_dir()]
            hint = "name the folder Libri2Mix or Libri3Mix, with wav16k/max/test/mix_clean in it"
            hint = f"choose another --{option}" if there else hint
            raise UserError(f"{here} has no folder {needed}; {hint}")
    return here


def _names(inside: Path, mix: Mix) -> list[str]:
    """The mixtures' names, by the data set's own table where that is there."""
    table = inside.parent / "metadata" / f"mixture_{inside.name}_{mix}.csv"
    there = {file.stem for file in (inside / mix).glob("*.wav")}
    named = _named_in(table) if table.is_file() else sorted(there)
    if not named:
        raise UserError(f"{inside / mix} holds no mixture")
    if missing := [name for name in named if name not in there]:
        raise UserError(
            f"{inside / mix} lacks {len(missing)} of the {len(named)} mixtures that {table.name} "
            f"names, such as {missing[0]}.wav: generate the data set again"
        )
    return named


def _named_in(table: Path) -> list[str]:
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and "mixture_ID" not in rows[0]:
        raise UserError(f"{table} has no column mixture_ID; it is not a table of LibriMix")
    return [row["mixture_ID"] for row in rows]


def _material(inside: Path, name: str, choice: Choice, librispeech: Path | None) -> Material:
    mixture = Stem(inside / choice.mix / f"{name}.wav")
    talkers = [utterance.partition("-")[0] for utterance in name.split("_")]
    target = talkers.pop(choice.talker - 1) if len(talkers) >= choice.talker else name
    others = {"mix_clean": talkers, "mix_both": [*talkers, "noise"], "mix_single": ["noise"]}
    return Material(
        id=name,
        title=f"Talker {target} with {' and '.join(others[choice.mix])}",
        scenario="simple" if choice.mix == "mix_single" else "crowd",
        target=(Stem(inside / f"s{choice.talker}" / f"{name}.wav"),),
        mixture=mixture,
        words=None if librispeech is None else _words(name, choice, librispeech, mixture.path),
    )


def _words(name: str, choice: Choice, librispeech: Path, mixture: Path) -> str | None:
    """What the target says, where all of it is in the mixture."""
    utterances = name.split("_")
    if len(utterances) < choice.talker:
        return None
    utterance = utterances[choice.talker - 1]
    chapter = _chapter(librispeech, *utterance.split("-")[:2])
    if chapter is None or (
        mixture.parents[2].name == "min" and _is_cut(utterance, chapter, mixture)
    ):
        return None
    return _texts(chapter).get(utterance)


@functools.lru_cache(maxsize=4096)
def _chapter(librispeech: Path, *names: str) -> Path | None:
    """The folder of a reader's chapter, in whichever part of LibriSpeech it lies."""
    for root in (librispeech, librispeech / "LibriSpeech"):
        for part in (".", *LIBRISPEECH_PARTS):
            if (root / part).joinpath(*names).is_dir():
                return (root / part).joinpath(*names)
    return None


@functools.lru_cache(maxsize=4096)
def _texts(chapter: Path) -> dict[str, str]:
    """The words of each utterance of a chapter."""
    file = chapter / f"{chapter.parent.name}-{chapter.name}.trans.txt"
    if not file.is_file():
        return {}
    lines = (line.partition(" ") for line in file.read_text(encoding="utf-8").splitlines())
    return {utterance: words.strip() for utterance, _, words in lines}


def _is_cut(utterance: str, chapter: Path, mixture: Path) -> bool:
    """Whether a mixture ends before the utterance does, or that can't be told without its FLAC."""
    whole = chapter / f"{utterance}.flac"
    if not whole.is_file():
        return True
    of_mixture, of_whole = media.probe(mixture), media.probe(whole)
    seconds = of_mixture.duration_seconds or 0.0
    return seconds < (of_whole.duration_seconds or 0.0) - 1 / of_mixture.rate_hz


def _why_no_words(librispeech: Path, inside: Path) -> str:
    if inside.parent.name == "min":
        return (
            f"all targets of {inside} are cut short, or {librispeech} has no FLAC files to tell; "
            "choose --mode max for words"
        )
    return (
        f"{librispeech} has none of the words; name the folder LibriSpeech, with "
        "test-clean/1089/134686/1089-134686.trans.txt in it"
    )


def _origin(inside: Path, path: Path, choice: Choice) -> Origin:
    rate, mode = inside.parents[1].name.removeprefix("wav"), inside.parent.name
    data_set = inside.parents[2].name
    made = (
        f"The speech track is talker {choice.talker} (s{choice.talker}), and the background is the "
        "mixture less this talker, so that both sum to it exactly."
    )
    name = f"{data_set.lower()}-{inside.name}-{choice.mix}-{rate}-{mode}"
    name += f"-s{choice.talker}" if choice.talker > 1 else ""
    terms = f"{TERMS}." if choice.mix == "mix_clean" else f"{TERMS}, {NOISE_TERMS}."
    return Origin(name, "LibriMix", path, made, terms)
