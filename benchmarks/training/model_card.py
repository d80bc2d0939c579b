"""The model as it is kept: weights, what the method must know beside them, and a card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.layouts import Stem
from benchmarks.learning import Learner
from benchmarks.ledger import write_file, write_json
from benchmarks.report.receipt import hardware, versions
from benchmarks.training.loop import Plan, Progress
from benchmarks.training.mixing import Mixing
from benchmarks.training.sets import PARTS, Collection, Part, Pools

if TYPE_CHECKING:
    from torch import Tensor

PACKAGES = ("python", "sepbench", "torch", "numpy", "soxr", "av", "pyroomacoustics")


@dataclass(frozen=True, slots=True)
class Story:
    """Where a model comes from.

    ``data`` says of each source what it is and what was in it; ``command`` repeats the training.
    """

    method: str
    target: str
    options: Mapping[str, Any]
    data: Sequence[str]
    data_sha256: str
    data_licence: str
    licence: str
    found: Sequence[str]
    plan: Plan
    mixing: Mixing
    device: str
    start: str
    command: str


def write_model(
    folder: Path, learner: Learner, progress: Progress, story: Story, *, half: bool
) -> Path:
    """Write TARGET.safetensors, TARGET.json and TARGET.md, and return the first.

    Args:
        folder: where to.
        learner: says what belongs beside the weights.
        progress: holds the best weights.
        story: where they come from.
        half: keep them in half precision, in half the space.
    """
    from safetensors.torch import save

    weights = {name: _kept(each, half) for name, each in progress.best.items()}
    content = save(weights, metadata={"format": "pt"})
    file = folder / f"{story.target}.safetensors"
    write_file(file, content)
    write_json(file.with_suffix(".json"), learner.settings() | {"target": story.target})
    sha256 = hashlib.sha256(content).hexdigest()
    write_file(file.with_suffix(".md"), _card(file, sha256, weights, progress, story).encode())
    return file


def hash_of_data(collection: Collection, folders: Sequence[Path]) -> str:
    """SHA-256 over what every sound is, which part it is in, and whether it is the target.

    Sounds go by their paths below the folders of the data, wherever these lie.
    """
    known: dict[Path, str] = {}
    lines = set()
    for part, is_target, stem in _roles(collection):
        if stem.path not in known:
            with stem.path.open("rb") as source:
                known[stem.path] = hashlib.file_digest(source, "sha256").hexdigest()
        name = _below(stem.path, folders)
        lines.add(f"{part} {is_target} {name} {stem.stream} {known[stem.path]}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _roles(collection: Collection) -> Iterator[tuple[Part, bool, Stem]]:
    for part in PARTS:
        if isinstance(collection, Pools):
            pools = ((True, collection.target), (False, collection.background))
            for is_target, pool in pools:
                yield from ((part, is_target, stem) for stem in pool[part].stems)
        else:
            for track in getattr(collection, part):
                yield from ((part, stem in track.target, stem) for stem in track.stems)


def _below(file: Path, folders: Sequence[Path]) -> str:
    inside = (file.relative_to(folder) for folder in folders if file.is_relative_to(folder))
    return next(inside, Path(file.name)).as_posix()


def _kept(weight: Tensor, half: bool) -> Tensor:
    """As it is written: of half precision only what is large, which scales and means are not.

    These may be beyond the range of half precision, too.
    """
    weight = weight.detach().cpu().contiguous()
    return weight.half() if half and weight.is_floating_point() and weight.ndim > 1 else weight


def _card(
    file: Path, sha256: str, weights: Mapping[str, Tensor], progress: Progress, story: Story
) -> str:
    best, last = progress.best_epoch, progress.history[-1]
    count = sum(each.numel() for each in weights.values())
    precision = "half" if any(str(w.dtype) == "torch.float16" for w in weights.values()) else "full"
    minutes = sum(epoch.seconds for epoch in progress.history) / 60
    known = versions()
    return "\n".join(
        [
            f"# {story.method}, target: {story.target}",
            "",
            f'Use it with `-p "{story.method}.model={file.name}"`, from this folder.',
            "",
            "| | |",
            "|---|---|",
            *_rows(
                {
                    "weights": f"{file.name}, {count:,} numbers in {precision} precision",
                    "SHA-256": sha256,
                    "licence": story.licence or "not stated",
                    "started from": story.start,
                    "seed": story.plan.seed,
                    "options": _said(story.options),
                    "kept": f"epoch {best.number} of {last.number}",
                    "validation loss": f"{best.valid_loss:.6g}",
                    "SI-SDR improvement, validation": _improvement(progress),
                    "took": f"{minutes:.0f} min on {story.device}, {hardware()['processor']}",
                    "versions": _said({name: known[name] for name in PACKAGES if name in known}),
                }
            ),
            "",
            "## Data",
            "",
            *(f"- {line}" for line in story.data),
            f"- licence: {story.data_licence or 'not stated'}",
            f"- SHA-256 over all files: {story.data_sha256}",
            "",
            "What the check before training found:",
            "",
            *(f"- {line}" for line in story.found),
            "",
            "## How it was trained",
            "",
            "| | |",
            "|---|---|",
            *_rows(
                asdict(story.plan) | {f"mixing: {k}": v for k, v in asdict(story.mixing).items()}
            ),
            "",
            "The same again:",
            "",
            f"    {story.command}",
            "",
            "![Losses and scores over the epochs](curves.png)",
            "",
        ]
    )


def _improvement(progress: Progress) -> str:
    """Of the best epoch; beside what it was before the training, where that is known."""
    best, first = progress.best_epoch, progress.history[0]
    before = f"; before, {first.si_sdr_improvement_db:.2f} dB" if first.number == 0 else ""
    return f"{best.si_sdr_improvement_db:.2f} dB{before}"


def _rows(facts: Mapping[str, Any]) -> list[str]:
    return [f"| {name.replace('_', ' ')} | {value} |" for name, value in facts.items()]


def _said(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items()) or "none"


def fingerprint(story: Story) -> str:
    """What a checkpoint belongs to: goes on only where all of it is the same."""
    said = {
        "method": story.method,
        "target": story.target,
        "options": dict(story.options),
        "data": story.data_sha256,
        "mixing": asdict(story.mixing),
        "start": story.start,
        "plan": {k: v for k, v in asdict(story.plan).items() if k not in ("epochs", "patience")},
    }
    return json.dumps(said, sort_keys=True, default=str, indent=1)
