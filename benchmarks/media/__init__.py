"""Video and audio in and out, block by block, so that files of any length need little memory.

PyAV decodes and encodes, with the ffmpeg it brings along; soxr changes rates. WAV is written
through PyAV too: libsndfile puts the time of day into float WAV files, must be told beforehand
whether a file will pass 4 GB, and reports a full disk as "System error".

Every mistake in a file is a :class:`~benchmarks.errors.UserError` of one line that names the file.
A file is opened as ``file:`` and its absolute path, so that no name is taken for a URL or an
option, and it is written under a temporary name beside its own, which it gets when it is complete.
"""

from __future__ import annotations

from benchmarks.media.names import refuse_overwriting
from benchmarks.media.reading import AudioReader, MediaInfo, open_audio, probe, read_audio
from benchmarks.media.remuxing import remux
from benchmarks.media.resampling import Resampler, resample, resample_blocks
from benchmarks.media.samples import sha256_of_audio
from benchmarks.media.writing import AudioWriter, write_audio, write_video

__all__ = [
    "AudioReader",
    "AudioWriter",
    "MediaInfo",
    "Resampler",
    "open_audio",
    "probe",
    "read_audio",
    "refuse_overwriting",
    "remux",
    "resample",
    "resample_blocks",
    "sha256_of_audio",
    "write_audio",
    "write_video",
]
