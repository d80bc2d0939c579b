"""What runs inside a worker process: one separation, one scoring, one transcription.

Each function is given all that it needs and gives back all that it made; a worker keeps nothing
but the models it has loaded, and touches no disk but its own cache of weights.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import inspect
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contract import (
    Audio,
    Clip,
    Cost,
    Estimate,
    Family,
    Judge,
    Method,
    Metric,
    Plugin,
    Unavailable,
)

if TYPE_CHECKING:
    from benchmarks.separation import Loaded

LOADED_AT_MOST = 6
_loaded: OrderedDict[str, tuple[Any, int]] = OrderedDict()


def separate_cell(method: Method, options: Mapping[str, Any], clip: Clip) -> tuple[Estimate, Cost]:
    """Run a method on a clip and measure it."""
    from benchmarks import separation

    cold = _model_name(method, options) not in _loaded
    loaded, held_by_model = _loaded_once(method, options)
    model: Loaded = loaded
    with measured_memory() as memory:
        started = time.perf_counter()
        estimate = separation.separate(model, clip)
        seconds = time.perf_counter() - started
    cost = Cost(
        audio_seconds=clip.mixture.seconds,
        separate_seconds=seconds,
        load_seconds=model.load_seconds,
        start="cold" if cold else "warm",
        peak_memory_bytes=held_by_model + memory.grown_bytes,
    )
    return estimate, cost


def score_cell(
    metrics: Sequence[tuple[Metric, Mapping[str, Any]]], clip: Clip, estimate: Estimate
) -> list[dict[str, Any]]:
    """Score an estimate by each metric; a metric that raises costs its own scores alone."""
    return [_scores(metric, options, clip, estimate) for metric, options in metrics]


def look_at_cell(clip: Clip, estimate: Estimate, family: Family) -> dict[str, list[str]]:
    """What the guards remark on each track of an estimate."""
    from benchmarks.guards import remarks

    return remarks(clip, estimate, family)


def transcribe_tracks(
    judge: Judge, options: Mapping[str, Any], tracks: Sequence[Audio], language: str
) -> list[str]:
    """What a judge hears in each of some tracks."""
    from benchmarks.media import resample

    model, _ = _loaded_once(judge, options)
    mono = [resample(Audio.of(one.mono(), one.rate_hz), judge.rate_hz) for one in tracks]
    return judge.hear(mono, language, model=model, options=options)


def missing_assets(names: Sequence[str]) -> list[str]:
    """Which of these assets this machine does not have yet."""
    from benchmarks import assets

    return [name for name in names if assets.status(name) != "present"]


def receive_asset(name: str, files: Mapping[str, bytes]) -> None:
    """Keep an asset that the client sent, once its hashes agree."""
    from benchmarks import assets

    assets.provide(name, files)


def _scores(
    metric: Metric, options: Mapping[str, Any], clip: Clip, estimate: Estimate
) -> dict[str, Any]:
    from benchmarks.scoring import score, targets_of, without_value

    try:
        model = None if metric.load is None else _loaded_once(metric, options)[0]
    except Unavailable as error:
        return dict.fromkeys(targets_of(metric), without_value("unavailable", str(error)))
    except Exception as error:  # a model that can't be loaded must not end the other scores
        reason = f"{type(error).__name__}: {error}"
        return dict.fromkeys(targets_of(metric), without_value("failed", reason))
    return score(metric, options, clip, estimate, model)


def _model_name(plugin: Plugin, options: Mapping[str, Any]) -> str:
    if isinstance(plugin, Metric) and plugin.load is not None:
        load = plugin.load  # several metrics may read one model
        taken = sorted(set(options) & set(inspect.signature(load).parameters))
        return repr((load.__module__, load.__qualname__, [(key, options[key]) for key in taken]))
    return repr((type(plugin).__name__, plugin.name, sorted(options.items(), key=str)))


def _loaded_once(plugin: Plugin, options: Mapping[str, Any]) -> tuple[Any, int]:
    """The loaded plugin and the bytes it took; the least recently used models make room."""
    name = _model_name(plugin, options)
    if name not in _loaded:
        while len(_loaded) >= LOADED_AT_MOST:
            _loaded.popitem(last=False)
        with measured_memory() as memory:
            model = _load(plugin, options)
        _loaded[name] = (model, memory.kept_bytes)
    _loaded.move_to_end(name)
    return _loaded[name]


def _load(plugin: Plugin, options: Mapping[str, Any]) -> Any:
    from benchmarks import assets, separation

    if isinstance(plugin, Method):
        return separation.load(plugin, options)
    return plugin.load_model({name: assets.path(name) for name in plugin.assets}, options)


class Memory:
    """What a stretch of code made of this process's memory, in bytes."""

    def __init__(self, before: int) -> None:
        self.before_bytes = before
        self.peak_bytes = before
        self.after_bytes = before

    @property
    def grown_bytes(self) -> int:
        return max(self.peak_bytes - self.before_bytes, 0)

    @property
    def kept_bytes(self) -> int:
        return max(self.after_bytes - self.before_bytes, 0)


@contextlib.contextmanager
def measured_memory() -> Iterator[Memory]:
    """Watch the resident memory of this process: exact on Linux, sampled elsewhere."""
    import psutil

    process = psutil.Process()
    _give_back_free_memory()
    memory = Memory(process.memory_info().rss)
    exact = _reset_high_water_mark()
    done = threading.Event()
    sampler = threading.Thread(target=_sample, args=(process, memory, done), daemon=True)
    if not exact:
        sampler.start()
    try:
        yield memory
    finally:
        done.set()
        memory.after_bytes = process.memory_info().rss
        if exact:
            memory.peak_bytes = high_water_mark_bytes()
        else:
            sampler.join()


def _give_back_free_memory() -> None:
    """What earlier work freed but the allocator kept would hide what this work takes."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _reset_high_water_mark() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return high_water_mark_bytes() > 0
    except OSError:
        return False


def high_water_mark_bytes() -> int:
    """The most memory that this process has held, or held since the mark was reset; Linux only."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def _sample(process: Any, memory: Memory, done: threading.Event) -> None:
    while not done.wait(0.01):
        memory.peak_bytes = max(memory.peak_bytes, process.memory_info().rss)
