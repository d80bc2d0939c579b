"""A model of the user's own is a new one once it was trained again, whatever its name is."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.plan import choose_method


def key_with(model: str) -> str:
    return choose_method("open-unmix", [f"open-unmix.model={model}"]).key


@pytest.mark.parametrize(
    "model", ["mine.safetensors", "./mine.safetensors", "folder/../mine.safetensors"]
)
@pytest.mark.parametrize("changed", ["mine.safetensors", "mine.json"])
def test_weights_or_settings_that_changed_are_another_model(
    model: str, changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare file name, and the JSON beside it, once counted for nothing: old results came back."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("mine.safetensors", "mine.json"):
        (tmp_path / name).write_text("first")
    before = key_with(model)
    assert key_with(model) == before
    (tmp_path / changed).write_text("trained again")
    assert key_with(model) != before


def test_a_folder_of_targets_counts_with_all_that_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "vocals.safetensors").write_text("first")
    before = key_with(str(tmp_path))
    (tmp_path / "drums.safetensors").write_text("one more")
    assert key_with(str(tmp_path)) != before


def test_the_name_of_a_published_model_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = key_with("umxhq")
    (tmp_path / "umxhq").mkdir()
    (tmp_path / "umxhq" / "notes.txt").write_text("by chance of the same name")
    assert key_with("umxhq") == before
