"""The ledger: what has been computed, on disk the moment it is finished, found again by its key.

It only stores and finds. A key is a SHA-256 over everything that a result depends on: the clip's
sound, the plugin's source and options, its weights, the harness and the versions of the packages
underneath. Worker counts, progress bars and output paths stay out. Failures are never stored.

    estimates/ab/abcd.../  vocals.wav  background.wav  facts.json
    records/ab/abcd....json
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.contract import Estimate

FORMAT = 1


def key_of(**parts: Any) -> str:
    """SHA-256 of the parts, as JSON with sorted keys."""
    text = json.dumps({"format": FORMAT, **parts}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Ledger:
    """A folder of finished work. Several runs, and several processes, may share one."""

    folder: Path

    def has_estimate(self, key: str) -> bool:
        return (self._estimate_folder(key) / "facts.json").exists()

    def estimate(self, key: str) -> Estimate:
        """The two tracks stored under this key."""
        from benchmarks.media import read_audio

        folder = self._estimate_folder(key)
        notes = tuple(self.facts(key).get("notes", ()))
        return Estimate(
            read_audio(folder / "vocals.wav"), read_audio(folder / "background.wav"), notes
        )

    def facts(self, key: str) -> dict[str, Any]:
        """What is known of a stored estimate: its cost, its notes, its hash."""
        return _read_json(self._estimate_folder(key) / "facts.json")

    def put_estimate(self, key: str, estimate: Estimate, facts: dict[str, Any]) -> None:
        """Store both tracks and what is known of them, all or nothing."""
        from benchmarks.media import write_audio

        target = self._estimate_folder(key)
        with _folder_for(target) as folder:
            write_audio(folder / "vocals.wav", estimate.vocals)
            write_audio(folder / "background.wav", estimate.background)
            write_json(folder / "facts.json", {**facts, "notes": list(estimate.notes)})

    def record(self, key: str) -> dict[str, Any] | None:
        """The scores or the transcript stored under this key, if any."""
        path = self._record_file(key)
        return _read_json(path) if path.exists() else None

    def put_record(self, key: str, record: dict[str, Any]) -> None:
        """Store scores or a transcript."""
        write_json(self._record_file(key), record)

    def _estimate_folder(self, key: str) -> Path:
        return self.folder / "estimates" / key[:2] / key

    def _record_file(self, key: str) -> Path:
        return self.folder / "records" / key[:2] / f"{key}.json"


def write_json(path: Path, content: Any) -> None:
    """Write JSON, indented; infinity is kept. See :func:`write_file`."""
    write_file(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, whatever happens meanwhile."""
    with new_file(path) as file:
        file.write(content)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write and read; it takes the place of ``path`` at the end, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb+") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _folder_for(target: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``target`` at the end, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:8]}."))
    folder = work / "new"
    folder.mkdir()
    try:
        yield folder
        with contextlib.suppress(FileNotFoundError):
            target.rename(work / "old")
        with contextlib.suppress(OSError):  # another process was faster: theirs is as good
            folder.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if not target.exists():
        raise OSError(f"{target} could not be written")


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
