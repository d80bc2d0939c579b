"""One method on one clip, or on a recording of any length.

The harness, not the method, changes rates, cuts long recordings into blocks, guards the input and
checks the output. A short clip and a long file take the same way through here, so that one gives
what the other does: pieces come in, go to the method's rate as one stream, are gathered into
blocks with their context, separated, and go back as one stream, which leaves no seam.
"""

from __future__ import annotations

import inspect
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contract import Audio, Blocks, Clip, ContractError, Estimate, Method, Samples
from benchmarks.errors import UserError
from benchmarks.media import AudioWriter, Resampler, open_audio, refuse_overwriting


class NotApplicable(Exception):
    """The clip lacks something that the method needs; the message says what."""


class BadEstimate(Exception):
    """A method gave back something other than two tracks like the mixture; says what is wrong."""


class TooLong(UserError):
    """The recording is longer than a method can take, which works on nothing but the whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A method with its options and its model, ready to separate.

    ``load_seconds`` is what the model took to load, once its assets were on the disk.
    """

    method: Method
    options: Mapping[str, Any]
    model: Any
    load_seconds: float


def load(method: Method, options: Mapping[str, Any]) -> Loaded:
    """Get a method ready, with all of its options: fetch its assets, load its model.

    Raises:
        UserError: when an asset can't be had.
        Unavailable: when the method itself says so.
    """
    folders = {name: _asset_folder(name) for name in method.assets_for(options)}
    started = time.perf_counter()
    model = method.load_model(folders, options)
    return Loaded(method, dict(options), model, time.perf_counter() - started)


def separate(loaded: Loaded, clip: Clip) -> Estimate:
    """Separate one clip.

    The mixture goes to the method at the method's rate, and in blocks when it is long; what comes
    back has the clip's rate and length. Only an oracle, or a method that declares the need, is
    shown the true stems.

    Raises:
        NotApplicable: when the clip lacks what the method needs.
        BadEstimate: when what the method gives back isn't two tracks like the mixture.
        TooLong: when the clip is longer than the method takes whole, and it takes no blocks.
    """
    _check_needs(loaded.method, clip)
    if not clip.mixture.length:
        raise NotApplicable("needs sound; this clip has 0 samples")
    estimates = list(_estimates(loaded, clip, iter([clip.mixture])))
    return Estimate(
        vocals=_joined(estimate.vocals for estimate in estimates),
        background=_joined(estimate.background for estimate in estimates),
        notes=tuple(note for estimate in estimates for note in estimate.notes),
    )


def separate_stream(
    loaded: Loaded,
    pieces: Iterable[Audio],
    rate_hz: int,
    channels: int,
    clip_id: str = "recording",
    song: Audio | None = None,
) -> Iterator[Estimate]:
    """Separate a recording of any length as it comes, in bounded memory.

    Args:
        loaded: the method.
        pieces: the recording in consecutive pieces of any sizes, all of this rate and these
            channels. At most the method's core and its two contexts are held at a time.
        rate_hz: the recording's sample rate in Hz.
        channels: its number of channels.
        clip_id: a name for it.
        song: the clean song that plays in it, when known, at its own rate.

    Returns:
        Consecutive estimates of any sizes, together as long as the recording and equal to what
        :func:`separate` gives for the whole. A note comes once.

    Raises:
        NotApplicable, BadEstimate, TooLong: as :func:`separate`; the first at once.
    """
    nothing = Audio(np.zeros((channels, 0), dtype=np.float32), rate_hz)
    clip = Clip(id=clip_id, scenario="", mixture=nothing, song=song)
    _check_needs(loaded.method, clip)
    return _estimates(loaded, clip, iter(pieces))


def separate_file(
    loaded: Loaded,
    source: Path,
    vocals: Path,
    background: Path,
    *,
    song: Audio | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[str, ...]:
    """Separate the sound of a video or audio file of any length into two 32-bit float WAV files.

    Both appear under their names when both are complete, at the rate and with the channels of the
    source. ``progress`` is told the seconds of sound that are done.

    Returns:
        The notes, each once: of the decoder, then of the method.

    Raises:
        UserError: when the source can't be read or a track can't be written.
        NotApplicable, BadEstimate, TooLong: as :func:`separate`.
    """
    for out in (vocals, background):
        refuse_overwriting(out, source)
    notes: list[str] = []
    with open_audio(source) as reader:
        shape = (reader.rate_hz, reader.channels)
        estimates = separate_stream(
            loaded, reader.blocks(reader.rate_hz), *shape, clip_id=source.stem, song=song
        )
        with (
            AudioWriter(vocals, *shape, reader.expected_samples) as vocals_file,
            AudioWriter(background, *shape, reader.expected_samples) as background_file,
        ):
            done = 0
            for estimate in estimates:
                vocals_file.write(estimate.vocals)
                background_file.write(estimate.background)
                notes.extend(estimate.notes)
                done += estimate.vocals.length
                if progress is not None:
                    progress(done / reader.rate_hz)
            vocals_file.finish()
            background_file.finish()
        return (*reader.notes, *notes)


def _asset_folder(name: str) -> Path:
    from benchmarks import assets

    return assets.path(name)


def _check_needs(method: Method, clip: Clip) -> None:
    reason = clip.missing(method.needs)
    if reason is not None:
        raise NotApplicable(reason)


def _joined(tracks: Iterable[Audio]) -> Audio:
    held = list(tracks)
    if len(held) == 1:
        return held[0]
    return Audio(np.concatenate([track.samples for track in held], axis=1), held[0].rate_hz)


def _estimates(loaded: Loaded, clip: Clip, pieces: Iterator[Audio]) -> Iterator[Estimate]:
    """Estimates of the pieces, with what else is known of the clip; its mixture tells the rate."""
    rate_hz = clip.mixture.rate_hz
    method_rate_hz = loaded.method.rate_hz or rate_hz
    shown = _as_shown(loaded.method, clip, method_rate_hz)
    stream = _Checked(pieces, clip.mixture)
    if method_rate_hz == rate_hz:
        return _by_block(loaded, shown, stream, rate_hz)
    there = _by_block(loaded, shown, _at_rate(stream, method_rate_hz), method_rate_hz)
    return _back_at_rate(there, stream, method_rate_hz)


def _as_shown(method: Method, clip: Clip, rate_hz: int) -> Clip:
    """The clip as this method may see it: stems for an oracle, and the truth for nobody else."""
    oracle = method.family == "oracle"
    speech = clip.speech if oracle or "speech" in method.needs else None
    background = clip.background if oracle or "background" in method.needs else None
    return replace(
        clip,
        speech=_stem_at_rate(speech, rate_hz),
        background=_stem_at_rate(background, rate_hz),
        transcript=None,
        song=None if clip.song is None else _guarded(clip.song),
    )


def _stem_at_rate(stem: Audio | None, rate_hz: int) -> Audio | None:
    if stem is None or stem.rate_hz == rate_hz:
        return stem
    return _joined(_at_rate(_Checked(iter([stem]), stem), rate_hz))


class _Checked:
    """Pieces of one recording, counted as they go by."""

    def __init__(self, pieces: Iterator[Audio], like: Audio) -> None:
        self._pieces = pieces
        self.rate_hz, self.channels = like.rate_hz, like.channels
        self.length = 0

    def __iter__(self) -> Iterator[Audio]:
        for piece in self._pieces:
            if (piece.rate_hz, piece.channels) != (self.rate_hz, self.channels):
                raise ContractError(
                    f"a piece of {piece.channels} channels at {piece.rate_hz} Hz in a recording "
                    f"of {self.channels} at {self.rate_hz} Hz"
                )
            self.length += piece.length
            yield piece


def _at_rate(stream: _Checked, rate_hz: int) -> Iterator[Audio]:
    """The stream at another rate, its length rounded up, so that the way back is long enough."""
    resampler = Resampler(stream.rate_hz, rate_hz, stream.channels)
    for piece in stream:
        yield Audio(resampler.push(piece.samples), rate_hz)
    if stream.length:
        length = -(-stream.length * rate_hz // stream.rate_hz)
        yield Audio(resampler.finish(length), rate_hz)


def _back_at_rate(
    estimates: Iterator[Estimate], stream: _Checked, from_hz: int
) -> Iterator[Estimate]:
    """The estimates at the stream's own rate, together of exactly its length."""
    resampler = Resampler(from_hz, stream.rate_hz, 2 * stream.channels)
    notes: tuple[str, ...] = ()
    for estimate in estimates:
        both = np.concatenate([estimate.vocals.samples, estimate.background.samples])
        notes += estimate.notes
        there = resampler.push(both)
        if there.shape[1]:
            yield _split(there, stream, notes)
            notes = ()
    if stream.length:
        yield _split(resampler.finish(stream.length), stream, notes)


def _split(both: Samples, stream: _Checked, notes: tuple[str, ...]) -> Estimate:
    vocals, background = np.split(both, 2)
    return Estimate(Audio(vocals, stream.rate_hz), Audio(background, stream.rate_hz), notes)


def _by_block(
    loaded: Loaded, clip: Clip, pieces: Iterable[Audio], rate_hz: int
) -> Iterator[Estimate]:
    """Estimates at the method's rate: of the whole where it fits, else core by core."""
    blocks = _blocks(loaded, rate_hz)
    longest = int(loaded.method.longest_seconds * rate_hz)
    if blocks is not None:
        longest = blocks.core + 2 * blocks.context
    window = _Window(pieces, rate_hz)
    window.reach(longest + 1)
    if window.end <= longest:
        if window.end:
            yield _estimate(loaded, _block_of(clip, window.take(0, window.end), 0))
        return
    if blocks is None:
        raise TooLong(
            f"{loaded.method.name} takes {loaded.method.longest_seconds:g} s at most, since it "
            f"works on the whole, and {clip.id} is longer: cut it into parts"
        )
    yield from _cores(loaded, clip, window, blocks)


def _cores(loaded: Loaded, clip: Clip, window: _Window, blocks: Blocks) -> Iterator[Estimate]:
    told: set[str] = set()
    for start in itertools.count(0, blocks.core):
        window.reach(start + blocks.core + blocks.context)
        if start >= window.end:
            return
        stop = min(start + blocks.core, window.end)
        first = max(start - blocks.context, 0)
        block = _block_of(clip, window.take(first, stop + blocks.context), first)
        estimate = _estimate(loaded, block)
        notes = tuple(note for note in estimate.notes if note not in told)
        told.update(notes)
        yield Estimate(
            _copied(estimate.vocals, start - first, stop - first),
            _copied(estimate.background, start - first, stop - first),
            notes,
        )
        del block, estimate  # or they would be held beside the next ones
        window.forget(start + blocks.core - blocks.context)


def _copied(track: Audio, start: int, stop: int) -> Audio:
    """A part of a track that keeps neither the rest in memory nor a method's own buffer."""
    return Audio(track.samples[:, start:stop].copy(), track.rate_hz)


def _blocks(loaded: Loaded, rate_hz: int) -> Blocks | None:
    """How the method wants to be fed; its function is given the options that it names."""
    function = loaded.method.blocks
    if function is None:
        return None
    wanted = inspect.signature(function).parameters
    options = {name: value for name, value in loaded.options.items() if name in wanted}
    return function(rate_hz, **options)


def _block_of(clip: Clip, mixture: Audio, start: int) -> Clip:
    """The clip with its mixture and its stems cut to the block that starts at this sample."""
    stop = start + mixture.length
    return replace(
        clip,
        mixture=_guarded(mixture),
        speech=None if clip.speech is None else _guarded(clip.speech.cut(start, stop)),
        background=None if clip.background is None else _guarded(clip.background.cut(start, stop)),
        start_seconds=clip.start_seconds + start / mixture.rate_hz,
    )


def _guarded(audio: Audio) -> Audio:
    """The same sound, which a method can't change in place."""
    view = audio.samples.view()
    view.flags.writeable = False
    return Audio(view, audio.rate_hz)


def _estimate(loaded: Loaded, clip: Clip) -> Estimate:
    estimate = loaded.method.call(clip, model=loaded.model, options=loaded.options)
    if not isinstance(estimate, Estimate):
        raise BadEstimate(f"gave back {type(estimate).__name__}, not an Estimate")
    problem = estimate.problem(clip.mixture)
    if problem is not None:
        raise BadEstimate(f"gave a bad estimate: {problem}")
    return estimate


class _Window:
    """The part of a stream that is needed now, found by its place in the whole."""

    def __init__(self, pieces: Iterable[Audio], rate_hz: int) -> None:
        self._pieces = iter(pieces)
        self._rate_hz = rate_hz
        self._held: deque[tuple[int, Samples]] = deque()
        self.end = 0

    def reach(self, stop: int) -> None:
        """Read on until that many samples have come, or the stream has ended."""
        while self.end < stop:
            piece = next(self._pieces, None)
            if piece is None:
                return
            self._held.append((self.end, piece.samples))
            self.end += piece.length

    def take(self, start: int, stop: int) -> Audio:
        """Samples from ``start`` to ``stop``, or to where the stream has come."""
        parts = [
            samples[:, max(start - at, 0) : stop - at]
            for at, samples in self._held
            if at < stop and at + samples.shape[1] > start
        ]
        samples = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return Audio(samples, self._rate_hz)

    def forget(self, start: int) -> None:
        """Let go of what lies wholly before this sample."""
        while self._held and self._held[0][0] + self._held[0][1].shape[1] <= start:
            self._held.popleft()
