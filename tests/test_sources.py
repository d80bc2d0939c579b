"""What a key is made over holds every file that it should."""

from __future__ import annotations

from pathlib import Path

from benchmarks import building, media, separation
from benchmarks.sources import source_texts


def test_a_module_counts_with_its_file_and_a_package_with_all_its_files(tmp_path: Path) -> None:
    files = {
        "one.py": "1",
        "other.py": "not asked for",
        "pack/__init__.py": "2",
        "pack/inner.py": "3",
        "pack/deep/__init__.py": "4",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = source_texts(str(tmp_path / "one.py"), str(tmp_path / "pack" / "__init__.py"))
    assert found == {name: text for name, text in files.items() if name != "other.py"}


def test_the_modules_that_touch_the_sound_count_in_full() -> None:
    in_media = {f"media/{path.name}" for path in Path(media.__file__).parent.glob("*.py")}
    assert len(in_media) > 1
    assert set(source_texts(separation.__file__, media.__file__)) == {"separation.py", *in_media}
    built_by = {"recipe.py", "scene.py", "card.py", "building.py", *in_media}
    assert set(building._code()) == built_by
