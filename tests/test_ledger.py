"""The ledger: what is stored is found whole, what is half there is not found."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
import pytest

from benchmarks.contract import Audio, Estimate
from benchmarks.ledger import Ledger, key_of, write_file


def estimate(seed: int = 0) -> Estimate:
    random = np.random.default_rng(seed)
    vocals, background = (Audio.of(random.standard_normal((2, 500)) * 3, 44100) for _ in range(2))
    return Estimate(vocals, background, ("a note",))


def test_an_estimate_comes_back_bit_for_bit(tmp_path: Path) -> None:
    ledger, stored = Ledger(tmp_path), estimate()
    assert not ledger.has_estimate("ab")
    ledger.put_estimate("ab", stored, {"cost": 1})
    found = ledger.estimate("ab")
    np.testing.assert_array_equal(found.vocals.samples, stored.vocals.samples)
    np.testing.assert_array_equal(found.background.samples, stored.background.samples)
    assert found.notes == stored.notes
    assert ledger.facts("ab")["cost"] == 1


def test_a_later_estimate_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    """The story: a run told to reuse nothing kept the old tracks, and reported their cost."""
    ledger = Ledger(tmp_path)
    ledger.put_estimate("ab", estimate(0), {"cost": 1})
    ledger.put_estimate("ab", estimate(1), {"cost": 2})
    assert ledger.facts("ab")["cost"] == 2
    np.testing.assert_array_equal(ledger.estimate("ab").vocals.samples, estimate(1).vocals.samples)


def test_infinity_survives_storage(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.put_record("cd", {"vocals": {"value": math.inf}, "background": {"value": -math.inf}})
    record = ledger.record("cd")
    assert record == {"vocals": {"value": math.inf}, "background": {"value": -math.inf}}
    assert ledger.record("ef") is None


def test_a_crash_while_writing_leaves_nothing_under_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(path: Path, content: object) -> None:
        raise RuntimeError("the planted crash")

    ledger = Ledger(tmp_path)
    monkeypatch.setattr("benchmarks.ledger.write_json", crash)
    with pytest.raises(RuntimeError):
        ledger.put_estimate("ab", estimate(), {})
    assert not ledger.has_estimate("ab")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_writing_replaces_whole_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_file(target, b"before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_file(target, b"after")
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_two_writers_of_one_key_leave_one_whole_estimate(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    writers = [
        threading.Thread(target=ledger.put_estimate, args=("ab", estimate(), {"n": n}))
        for n in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert ledger.facts("ab")["n"] in range(4)
    np.testing.assert_array_equal(ledger.estimate("ab").vocals.samples, estimate().vocals.samples)


def test_a_key_follows_every_part_and_not_their_order() -> None:
    assert key_of(a=1, b=2) == key_of(b=2, a=1)
    assert len({key_of(a=1), key_of(a=2), key_of(b=1), key_of(a="1")}) == 4
