"""Pickled weights: what loads, what is refused, and that nothing in them runs."""

from __future__ import annotations

import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import assets
from benchmarks.assets import AssetError


class Malicious:
    """A pickle that writes a file when it is loaded without a guard."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (f"open({str(self.target)!r}, 'w')",))


@pytest.mark.parametrize("form", ["zip", "legacy", "plain pickle"])
def test_a_malicious_pickle_is_refused_and_not_run(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    ran, file = tmp_path / "ran", tmp_path / "weights.ckpt"
    weights = {"layer.weight": torch.ones(2), "extra": Malicious(ran)}
    if form == "plain pickle":
        file.write_bytes(pickle.dumps(weights["extra"], protocol=2))
    else:
        torch.save(weights, file, _use_new_zipfile_serialization=form == "zip")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(AssetError) as caught:
        assets.load_pickle(file, assets.numpy_arrays())
    assert not ran.exists()
    assert "exec, which is not allowed" in str(caught.value)
    assert "\n" not in str(caught.value)
    with suppress(RuntimeError):  # what follows in the plain pickle is no checkpoint
        torch.load(file, weights_only=False)
    assert ran.exists(), "the pickle must be a live one, or this test says nothing"


def test_weights_load_on_the_cpu_without_permission(tmp_path: Path) -> None:
    import torch

    file = tmp_path / "weights.ckpt"
    torch.save({"layer.weight": torch.arange(3.0)}, file)
    assert assets.load_pickle(file)["layer.weight"].tolist() == [0.0, 1.0, 2.0]


def test_numpy_arrays_load_by_permission_only(tmp_path: Path) -> None:
    import torch

    file = tmp_path / "weights.ckpt"
    torch.save({"layer.weight": np.arange(3, dtype=np.float32)}, file)
    with pytest.raises(AssetError, match=r"needs numpy\.\S+, which is not allowed"):
        assets.load_pickle(file)
    loaded = assets.load_pickle(file, assets.numpy_arrays())
    assert loaded["layer.weight"].tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(AssetError):  # the permission ends with the call
        assets.load_pickle(file)


@pytest.mark.parametrize("data", [b"", b"junk", b"PK\x03\x04junk", b"\x80\x02X"], ids=repr)
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "weights.ckpt"
    file.write_bytes(data)
    with pytest.raises(AssetError, match="checkpoint refused: it can't be read as weights"):
        assets.load_pickle(file)


def test_a_missing_checkpoint_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"weights\.ckpt: .*No such file"):
        assets.load_pickle(tmp_path / "weights.ckpt")


@pytest.mark.slow
@pytest.mark.parametrize("stem", ["vocals", "accompaniment"])
def test_the_spleeter_checkpoints_hold_nothing_but_arrays(stem: str) -> None:
    weights = assets.load_pickle(
        assets.path("spleeter-2stems") / f"{stem}.ckpt", assets.numpy_arrays()
    )
    assert len(weights) == 74
    assert {(type(array), array.dtype.name) for array in weights.values()} == {
        (np.ndarray, "float32")
    }
