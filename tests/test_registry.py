"""The registry: the folder is the list, names are unique, outside packages join."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import registry
from benchmarks.contract import ContractError
from benchmarks.errors import UserError
from benchmarks.sources import files_behind
from tests import faulty_methods

ROOT = Path(__file__).parent.parent
PLUGIN = '''
from benchmarks.contract import Clip, Estimate, method

@method(family="dsp")
def {name}(clip: Clip) -> Estimate:
    """A method of someone else's."""
    return Estimate(clip.mixture, clip.mixture)
'''


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder from which packages can be imported; the registry forgets them afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    registry._discover.cache_clear()
    yield tmp_path
    registry._discover.cache_clear()


def install(folder: Path, module: str, source: str) -> None:
    """What pip leaves of a distribution with an entry point."""
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[sepbench.methods]\n{module} = {module}\n")
    importlib.invalidate_caches()


def test_every_file_of_the_folders_is_found() -> None:
    found = {
        plugin.source_file.stem
        for kind in (
            registry.methods(),
            registry.metrics(),
            registry.judges(),
            registry.trainers(),
        )
        for plugin in kind.values()
    }
    files = {p.stem for f in ("methods", "metrics") for p in (ROOT / f).glob("[!_]*.py")}
    assert found == files


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no method 'splitter'. Did you mean spleeter\?"):
        registry.find(registry.methods(), "splitter", "method")


def test_an_outside_package_joins_by_its_entry_point(outside: Path) -> None:
    install(outside, "their_filter", PLUGIN.format(name="their_filter"))
    assert registry.methods()["their-filter"].summary == "A method of someone else's."


def test_a_broken_outside_package_is_told_and_stops_nothing(outside: Path) -> None:
    install(outside, "their_broken", "import a_module_that_is_not_there\n")
    assert "a_module_that_is_not_there" in registry.broken()["their_broken"]
    assert "mixture" in registry.methods()


def test_two_plugins_of_one_name_are_refused_with_both_files(outside: Path) -> None:
    install(outside, "their_mixture", PLUGIN.format(name="mixture"))
    with pytest.raises(ContractError, match=r"mixture\.py and .*their_mixture\.py"):
        registry.methods()


def test_a_plugin_travels_to_another_process_by_name() -> None:
    for plugin in (*registry.methods().values(), *registry.metrics().values()):
        assert pickle.loads(pickle.dumps(plugin)) is plugin
    assert pickle.loads(pickle.dumps(faulty_methods.raises)) is faulty_methods.raises


def test_the_hash_follows_the_source_and_what_it_imports_from_beside_it(outside: Path) -> None:
    """At first, the hash covered every shared file: a new one had all methods run again."""
    text = PLUGIN.format(name="their_hashed") + "\nfrom their_maths import x\n"
    (outside / "their_maths.py").write_text("from _their_shared import x\n")
    (outside / "_their_shared.py").write_text("x = 1\n")
    install(outside, "their_hashed", text)
    plugin = registry.methods()["their-hashed"]
    before = registry.source_hash(plugin)
    (outside / "_stranger.py").write_text("x = 1\n")
    assert registry.source_hash(plugin) == before
    (outside / "_their_shared.py").write_text("x = 2\n")
    with_shared = registry.source_hash(plugin)
    plugin.source_file.write_text(text + "\n# changed\n")
    assert len({before, with_shared, registry.source_hash(plugin)}) == 3


def test_the_hash_of_a_method_covers_the_methods_that_it_calls() -> None:
    def behind(name: str) -> set[str]:
        return {path.name for path in files_behind(registry.methods()[name].source_file)}

    assert {"spleeter.py", "auxiva.py", "_demixing.py", "_stft.py"} <= behind("hybrid")
    assert "spleeter.py" not in behind("auxiva")


def test_only_oracles_see_the_truth() -> None:
    for method in registry.methods().values():
        if method.family != "oracle":
            assert not {"speech", "background"} & set(method.needs), method.name
