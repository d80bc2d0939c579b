"""A clip of a suite, before and after its sound is read."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from benchmarks import media
from benchmarks.building import clip_sha256
from benchmarks.contract import Audio, Clip
from benchmarks.errors import UserError

TRACKS = ("speech", "background", "song")


@dataclass(frozen=True)
class ClipEntry:
    """A clip of a suite: where its files are, and what is known without reading their sound.

    ``built_sha256`` is the hash that the build of the clip noted down. ``problem`` is why the clip
    can't be loaded, where that is known already.
    """

    id: str
    scenario: str
    title: str
    mixture_file: Path
    speech_file: Path | None = None
    background_file: Path | None = None
    song_file: Path | None = None
    transcript_file: Path | None = None
    language: str = "en"
    microphones_metres: tuple[tuple[float, float, float], ...] | None = None
    built_sha256: str | None = None
    problem: str = ""

    @functools.cached_property
    def transcript(self) -> str | None:
        """What is said, or None where that is not known.

        Raises:
            UserError: the file is missing or not UTF-8.
        """
        if self.transcript_file is None:
            return None
        try:
            return " ".join(self.transcript_file.read_text(encoding="utf-8-sig").split())
        except UnicodeDecodeError:
            raise UserError(f"{self.transcript_file} is not UTF-8 text; save it as UTF-8") from None
        except OSError as error:
            raise UserError(f"{self.transcript_file}: {error.strerror}") from None

    @functools.cached_property
    def audio_sha256(self) -> str:
        """A hash of all that a result can depend on: sound, words, language and microphones.

        A built clip has noted it down; for any other its files are read.

        Raises:
            UserError: as :meth:`load`.
        """
        return self.built_sha256 or clip_sha256(self.load())

    @property
    def known(self) -> str:
        """What is known of the clip beside its recording, in words."""
        names = [name for name in TRACKS if getattr(self, f"{name}_file") is not None]
        names += ["transcript"] if self.transcript_file else []
        names += ["microphones"] if self.microphones_metres else []
        return ", ".join(names) or "nothing but the recording"

    def load(self) -> Clip:
        """Read the clip.

        Raises:
            UserError: a file that is missing or can't be read, a stem that doesn't fit the
                mixture, or a built clip that is not as it was built.
        """
        if self.problem:
            raise UserError(self.problem)
        mixture = media.read_audio(self.mixture_file)
        clip = Clip(
            id=self.id,
            scenario=self.scenario,
            mixture=mixture,
            speech=self._stem(self.speech_file, mixture),
            background=self._stem(self.background_file, mixture),
            transcript=self.transcript,
            language=self.language,
            song=None if self.song_file is None else media.read_audio(self.song_file),
            microphones_metres=self.microphones_metres,
        )
        if self.built_sha256 not in (None, clip_sha256(clip)):
            raise UserError(
                f"{self.mixture_file.parent} is not as it was built: a file in it has changed; "
                "delete the folder and run: sepbench suite build"
            )
        return clip

    def _stem(self, file: Path | None, mixture: Audio) -> Audio | None:
        """A stem, which must be exactly as long, as fast and as wide as the mixture."""
        if file is None:
            return None
        stem, name = media.read_audio(file), self.mixture_file.name
        if stem.rate_hz != mixture.rate_hz:
            raise UserError(
                f"{file} is at {stem.rate_hz} Hz and {name} at {mixture.rate_hz} Hz; "
                "export both at one rate"
            )
        if stem.channels != mixture.channels:
            raise UserError(
                f"{file} has {stem.channels} channels and {name} has {mixture.channels}; "
                "export both with as many"
            )
        if stem.length != mixture.length:
            raise UserError(
                f"{file} has {stem.length} samples and {name} has {mixture.length}; "
                "a stem starts and ends with its mixture: cut or pad it"
            )
        return stem
