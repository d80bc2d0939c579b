"""The two loops of the nearest-neighbour filter, compiled: nearest frames, and medians over them.

Importing this module compiles both, or loads what an earlier import compiled. Both leave the
interpreter's lock alone, so that threads may run them side by side on different frames.

*Nearest frames.* The k-th largest score of a row is found bit by bit, from the top: non-negative
floating-point numbers are ordered like the integers with the same bits, so 30 counts of the row
settle it. Counting needs no moves and no branches, which makes it an order of magnitude faster
than a partial sort.

*Medians.* A sorting network is a fixed list of compare-exchanges, so it sorts one vector register
full of columns as easily as one number. The network is Batcher's odd-even merge sort (Batcher,
"Sorting networks and their applications", AFIPS 1968), without the steps that no middle element
depends on. Eight rows at a time pass through registers; a tile of the rows stays in the innermost
cache. LLVM's own vectoriser does not find that form, so the vectors are written out for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

LANES = 16  # of a vector: the widest register in use; where registers are narrower, LLVM splits it
TILE = 64  # columns that are sorted together
TILE_BYTES = 4 * TILE
VECTOR = ir.VectorType(ir.FloatType(), LANES)
INTEGER = ir.IntType(64)
EXCLUDED = -1.0  # the score of a frame that may not be chosen

SORT_4 = ((0, 1), (2, 3), (0, 2), (1, 3), (1, 2))
MERGE_8 = ((0, 4), (1, 5), (2, 6), (3, 7), (2, 4), (3, 5), (1, 2), (3, 4), (5, 6))
SORT_8 = (*SORT_4, *((low + 4, high + 4) for low, high in SORT_4), *MERGE_8)


def compiled(signature: str) -> Callable[[Function], Function]:
    """Compile for these types at once, and keep the result on disk where there is room for it."""

    def compile_it(function: Function) -> Function:
        jit: Any = numba.njit
        try:
            done: Function = jit(signature, nogil=True, cache=True)(function)
        except RuntimeError:  # neither the installation nor the user's cache can be written
            done = jit(signature, nogil=True)(function)
        return done

    return compile_it


class Step(NamedTuple):
    """One step of a network: ``wires`` rows, ``spacing`` apart, merged or put in order."""

    wires: int
    row: int
    spacing: int

    @property
    def rows(self) -> tuple[int, ...]:
        return tuple(self.row + wire * self.spacing for wire in range(self.wires))


def nearest(scores: Floats, first: int, closest: int, farthest: int, count: int) -> Integers:
    """The columns that stand for the nearest neighbours of each row.

    Rows and columns stand for consecutive frames.

    Args:
        scores: how alike they are, from 0 to less than 2, shape ``(rows, columns)``.
        first: the column that stands for the same frame as the first row.
        closest: a neighbour is at least this many frames away,
        farthest: and at most this many.
        count: how many neighbours to find.

    Returns:
        Columns in ascending order, shape ``(rows, count)``. Of equal scores the earlier frame is
        taken. Where there are too few frames to choose from, -1 stands at the end.
    """
    found = np.full((scores.shape[0], count), -1, np.int64)
    _nearest(scores, first, closest, farthest, found)
    return found


def medians(features: Floats, neighbours: Integers) -> Floats:
    """The median of each column over the neighbours of each frame, as ``numpy.median`` has it.

    Args:
        features: shape ``(frames, columns)``, no NaN.
        neighbours: numbers of frames, shape ``(rows, count)``; those below 0 don't count.

    Returns:
        Shape ``(rows, columns)``; NaN in a row without any neighbour.

    Raises:
        IndexError: when there is no such frame.
    """
    if neighbours.max(initial=-1) >= len(features):  # the loop below reads memory unchecked
        raise IndexError(f"no frame {neighbours.max()} among {len(features)}")
    columns = features.shape[1]
    if columns < TILE:
        features = np.pad(features, ((0, 0), (0, TILE - columns)))
    out = np.full((neighbours.shape[0], features.shape[1]), np.nan, np.float32)
    counts = np.count_nonzero(neighbours >= 0, axis=1)
    for count in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == count)
        chosen = neighbours[rows]
        chosen = chosen[chosen >= 0].reshape(rows.size, count)
        _medians(features, chosen, *selection(int(count)), rows, out)
    return out[:, :columns]


@functools.lru_cache(maxsize=64)
def selection(count: int) -> tuple[Integers, int]:
    """The merges that bring the middle of ``count`` rows, sorted by eights, to its place.

    Returns:
        One line a step, shape ``(steps, 3)``, as :class:`Step`, and the number of rows that the
        network spans: ``count`` rounded up to a power of two. The rows from ``count`` on are
        taken to hold infinity; a step among them alone is left out.
    """
    size = max(8, 1 << (count - 1).bit_length())
    needed = {(count - 1) // 2, count // 2}
    kept = []
    for step in reversed(list(_merge_sort(size))):
        if step.rows[1] < count and not needed.isdisjoint(step.rows):
            needed.update(step.rows)
            kept.append(step)
    steps = np.array(kept[::-1], np.int64).reshape(-1, 3)
    return steps, size


def _merge_sort(size: int) -> Iterator[Step]:
    """Batcher's merges of sorted eights into one sorted run of ``size`` rows."""
    length = 16
    while length <= size:
        for first in range(0, size, length):
            yield from _merge(first, length)
        length *= 2


def _merge(first: int, length: int) -> Iterator[Step]:
    """Merge two sorted runs: every (length/8)-th row among themselves, then between them."""
    spacing = length // 8
    yield from (Step(8, first + row, spacing) for row in range(spacing))
    while spacing > 1:
        spacing //= 2
        for run in range(1, length // spacing - 1, 2):
            at = first + run * spacing
            yield from (Step(2, at + row, spacing) for row in range(spacing))


def _emit(
    builder: ir.IRBuilder,
    sources: Sequence[ir.Value],
    targets: Sequence[ir.Value],
    comparators: Iterable[tuple[int, int]],
) -> None:
    """Write the code that takes tile rows through a network, from these addresses to those."""
    comparators = tuple(comparators)
    kind = ir.FunctionType(VECTOR, [VECTOR, VECTOR])
    minimum, maximum = (
        cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module, kind, f"llvm.{name}.v{LANES}f32"
        )
        for name in ("minnum", "maxnum")
    )
    for offset in range(0, TILE_BYTES, 4 * LANES):
        values = [builder.load(_at(builder, source, offset), align=4) for source in sources]
        for low, high in comparators:
            pair = values[low], values[high]
            values[low] = builder.call(minimum, pair, fastmath=("nnan",))
            values[high] = builder.call(maximum, pair, fastmath=("nnan",))
        for value, target in zip(values, targets, strict=True):
            builder.store(value, _at(builder, target, offset), align=4)


def _at(builder: ir.IRBuilder, address: ir.Value, offset: int) -> ir.Value:
    return builder.inttoptr(builder.add(address, INTEGER(offset)), VECTOR.as_pointer())


def _evenly_spaced(
    builder: ir.IRBuilder, address: ir.Value, spacing: ir.Value, count: int
) -> list[ir.Value]:
    return [builder.add(address, builder.mul(spacing, INTEGER(n))) for n in range(count)]


def _exchange(wires: int, comparators: Iterable[tuple[int, int]]) -> Any:
    """An operation on tile rows in place: ``(address of the first, bytes to the next)``."""

    def typed(_typing: Any, _address: Any, _spacing: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, _signature: Any, given: Any) -> Any:
            address, spacing = given
            rows = _evenly_spaced(builder, address, spacing, wires)
            _emit(builder, rows, rows, comparators)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return intrinsic(typed)


def _loading(wires: int, comparators: Iterable[tuple[int, int]]) -> Any:
    """An operation from anywhere to tile rows: ``(address of the addresses, of the first row)``."""

    def typed(_typing: Any, _addresses: Any, _target: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, _signature: Any, given: Any) -> Any:
            addresses, target = given
            table = builder.inttoptr(addresses, INTEGER.as_pointer())
            sources = [builder.load(builder.gep(table, [INTEGER(n)])) for n in range(wires)]
            rows = _evenly_spaced(builder, target, INTEGER(TILE_BYTES), wires)
            _emit(builder, sources, rows, comparators)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return intrinsic(typed)


_load_sorted = _loading(8, SORT_8)
_merge_eight = _exchange(8, MERGE_8)
_put_in_order = _exchange(2, ((0, 1),))


@compiled("void(float32[:,::1], int64[:,::1], int64[:,::1], int64, int64[::1], float32[:,::1])")
def _medians(
    features: Floats, neighbours: Integers, steps: Integers, size: int, rows: Integers, out: Floats
) -> None:
    """Write the medians over ``neighbours[n]`` into ``out[rows[n]]``."""
    columns = features.shape[1]
    count = neighbours.shape[1]
    loaded = (count + 7) // 8 * 8
    # One row more than the network has: it stays infinite, and stands in for missing neighbours.
    tile = np.full((size + 1, TILE), np.inf, np.float32)
    top = tile.ctypes.data
    sources = np.full(loaded, top + size * TILE_BYTES, np.int64)
    lower, upper = tile[(count - 1) // 2], tile[count // 2]
    for part in range((columns + TILE - 1) // TILE):
        column = min(part * TILE, columns - TILE)
        origin = features.ctypes.data + 4 * column
        for row in range(neighbours.shape[0]):
            for n in range(count):
                sources[n] = origin + 4 * columns * neighbours[row, n]
            for n in range(0, loaded, 8):
                _load_sorted(sources.ctypes.data + 8 * n, top + n * TILE_BYTES)
            for step in range(steps.shape[0]):
                at, spacing = top + steps[step, 1] * TILE_BYTES, steps[step, 2] * TILE_BYTES
                if steps[step, 0] == 8:
                    _merge_eight(at, spacing)
                else:
                    _put_in_order(at, spacing)
            for n in range(TILE):
                out[rows[row], column + n] = np.float32(0.5) * (lower[n] + upper[n])


@compiled("int32(int32[::1], int32)")
def _reaching(values: NDArray[np.int32], least: np.int32) -> np.int32:
    """How many values are at least this large, counted in 32 bits so that vectors hold many."""
    reached = np.int32(0)
    for n in range(values.size):
        reached = np.int32(reached + np.int32(values[n] >= least))
    return reached


@compiled("int32(int32[::1], int64)")
def _nth_largest(values: NDArray[np.int32], count: int) -> np.int32:
    """The ``count``-th largest of the values, or 0 when fewer are above 0; all below 2."""
    found = np.int32(0)
    for bit in range(29, -1, -1):
        tried = np.int32(found | np.int32(1 << bit))
        if _reaching(values, tried) >= count:
            found = tried
    return found


@compiled("void(float32[:,::1], int64, int64, int64, int64[:,::1])")
def _nearest(scores: Floats, first: int, closest: int, farthest: int, found: Integers) -> None:
    columns = scores.shape[1]
    count = found.shape[1]
    allowed = np.empty(columns, np.float32)
    bits = allowed.view(np.int32)
    for row in range(scores.shape[0]):
        here = first + row
        allowed[:] = EXCLUDED
        for column in range(max(here - farthest, 0), max(here - closest + 1, 0)):
            allowed[column] = scores[row, column]
        for column in range(min(here + closest, columns), min(here + farthest + 1, columns)):
            allowed[column] = scores[row, column]
        least = _nth_largest(bits, count)
        ties = count - np.int64(_reaching(bits, np.int32(least + 1)))
        n = 0
        for column in range(columns):
            if bits[column] >= least:
                tie = bits[column] == least
                if not tie or ties > 0:
                    found[row, n] = column
                    n += 1
                ties -= tie
