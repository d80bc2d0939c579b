"""Debian's packages: brought by the system's own client, checked, and read without installing them.

A package is an ``ar`` archive in which ``data.tar.*`` holds the files. It is sought in the user's
folders (``SEPBENCH_ASSETS``), among what was brought before, and then with ``apt-get``, as the
system is set up. Nothing in it is run.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.assets import cache_root, user_folders
from benchmarks.errors import UserError
from benchmarks.training.material.recipe import Source

AR_MAGIC = b"!<arch>\n"
AR_HEADER_BYTES = 60
APT_SECONDS = 1800


class _Unreadable(Exception):
    """A package that is not built as packages are, and why."""


def package_file(source: Source) -> Path:
    """The package of a source, on this machine, with the right hash.

    Raises:
        UserError: it can't be had from any of its places.
    """
    tried: list[str] = []
    for place in (_in_folders, _in_cache, _by_apt):
        for file in place(source, tried):
            problem = _problem(file, source)
            if not problem:
                return file
            tried.append(f"{file}: {problem}")
    raise UserError(
        f"package {source.package} {source.version} can't be had: {'; '.join(tried)}. Put the file "
        f"{source.file} with SHA-256 {source.sha256} into a folder and set SEPBENCH_ASSETS to it"
    )


def forget(source: Source) -> None:
    """Remove what was brought of a package; the user's own file stays."""
    shutil.rmtree(_cache_folder(source), ignore_errors=True)


def members(file: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """The wanted plain files of a package, by path without a leading ``./``, in its order.

    Raises:
        UserError: the file is no package, or is damaged.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(_data(file)), mode="r|*") as archive:
            for entry in archive:
                name = entry.name.removeprefix("./")
                if entry.isfile() and wanted(name):
                    content = archive.extractfile(entry)
                    assert content is not None
                    yield name, content.read()
    except (_Unreadable, OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{file} can't be read as a package: {error}") from error


def _data(file: Path) -> bytes:
    """The compressed archive of a package's files."""
    with file.open("rb") as package:
        if package.read(len(AR_MAGIC)) != AR_MAGIC:
            raise _Unreadable("it does not begin as one")
        while header := package.read(AR_HEADER_BYTES):
            name = header[:16].decode("ascii", "replace").strip().rstrip("/")
            if len(header) < AR_HEADER_BYTES or not header[48:58].strip().isdigit():
                raise _Unreadable("it is cut off")
            size = int(header[48:58])
            if name.startswith("data.tar"):
                if name.endswith(".zst"):
                    raise _Unreadable("it is packed with Zstandard, which is not read here")
                data = package.read(size)
                if len(data) < size:
                    raise _Unreadable("it is cut off")
                return data
            package.seek(size + size % 2, os.SEEK_CUR)
    raise _Unreadable("it holds no data")


def _problem(file: Path, source: Source) -> str:
    size = file.stat().st_size
    if size != source.bytes:
        return f"{size} bytes instead of {source.bytes}"
    with file.open("rb") as package:
        sha256 = hashlib.file_digest(package, "sha256").hexdigest()
    return "" if sha256 == source.sha256 else f"SHA-256 {sha256} instead of {source.sha256}"


def _in_folders(source: Source, tried: list[str]) -> Iterator[Path]:
    for folder in user_folders():
        file = folder / source.file
        if file.is_file():
            yield file


def _in_cache(source: Source, tried: list[str]) -> Iterator[Path]:
    file = _cache_folder(source) / source.file
    if file.is_file():
        yield file


def _by_apt(source: Source, tried: list[str]) -> Iterator[Path]:
    folder = _cache_folder(source)
    client = shutil.which("apt-get")
    if client is None:
        tried.append("there is no apt-get on this machine")
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        done = subprocess.run(
            [client, "-q", "download", f"{source.package}={source.version}"],
            cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=APT_SECONDS, check=False, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        tried.append(f"apt-get brought nothing in {APT_SECONDS // 60} minutes")
        return
    files = list(folder.glob("*.deb"))
    if done.returncode or not files:
        tried.append(f"apt-get: {_complaint(done.stderr)}")
        return
    yield files[0].replace(folder / source.file)


def _complaint(log: str) -> str:
    """The first error of the client, or its last line."""
    lines = log.strip().splitlines() or ["it brought nothing"]
    errors = [line for line in lines if line.startswith("E: ")]
    return (errors or lines[-1:])[0].removeprefix("E: ")


def _cache_folder(source: Source) -> Path:
    return cache_root() / "downloads" / f"{source.package}={source.version.replace(':', '%3a')}"
