"""Bytes from elsewhere: a wheel by pip, and a file over HTTP on connections that may break.

Nothing here judges what arrived; that is done by hash, by :mod:`benchmarks.assets`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path

STALL_SECONDS = 30.0  # a connection that brings nothing for so long is given up
FRUITLESS_TRIES = 4  # connections in a row that bring nothing new before a server is given up
BACKOFF_SECONDS = 1.0  # the wait after the first of them; doubles each time
POLL_SECONDS = 0.2

Report = Callable[[int], None]
"""Called with the number of bytes that are there."""


class DownloadError(Exception):
    """Nothing came, and why, in a few words."""


class _Interrupted(Exception):
    """A connection failed in a way that another one may mend."""


def download_wheel(
    requirement: str, folder: Path, *, platform: str | None = None, report: Report
) -> Path:
    """Have pip, as the user has set it up, bring one wheel into an empty folder.

    Args:
        requirement: "package==version".
        folder: where the wheel, and all that pip writes on the way, goes.
        platform: the platform tag of a wheel that is not for any platform. Only data is wanted
            of it, so it need not be the platform this runs on, nor need the Python be.
        report: told now and then how many bytes are there.

    Raises:
        DownloadError: pip is missing, or found no such wheel.
    """
    if importlib.util.find_spec("pip") is None:
        raise DownloadError(f"pip is missing; get it by {sys.executable} -m ensurepip")
    options = ["--no-deps", "--only-binary=:all:", "--python-version=3.11", "--no-input", "-q"]
    options += [f"--platform={platform}"] if platform else []
    # -P: a file called pip.py in the current folder must not be taken for pip.
    command = [sys.executable, "-P", "-m", "pip", "download", *options, f"--dest={folder}"]
    scratch = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    log_file = folder / "pip.log"
    with log_file.open("wb") as log:
        pip = subprocess.Popen(
            [*command, requirement],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **scratch},
        )
        _wait(pip, folder, report)
    wheels = list(folder.glob("*.whl"))
    if pip.returncode != 0 or not wheels:
        raise DownloadError(f"pip: {_complaint(log_file)}")
    return wheels[0]


def download_file(url: str, part: Path, *, size_bytes: int, report: Report) -> bool:
    """Bring ``part`` to the end of the file at ``url``, over as many connections as it takes.

    What ``part`` holds already is kept and continued. A slow server is borne with as long as bytes
    flow; one that stalls, breaks off or is unwell is asked again, until it brings nothing new a few
    times in a row. No more than about ``size_bytes`` are read.

    Returns:
        Whether ``part`` may be pieced together: not from one answer of the server.

    Raises:
        DownloadError: the server does not have the file, or can't be made to give all of it.
    """
    furthest, fruitless = file_size(part), 0
    while True:
        pieced = file_size(part) > 0
        try:
            _continue(url, part, size_bytes, report)
            return pieced
        except _Interrupted as interrupted:
            fruitless = 0 if file_size(part) > furthest else fruitless + 1
            furthest = max(furthest, file_size(part))
            if fruitless >= FRUITLESS_TRIES:
                reached = f" at {furthest} of {size_bytes} bytes" if furthest else ""
                raise DownloadError(f"{interrupted}{reached}") from None
        time.sleep(BACKOFF_SECONDS * 2 ** max(fruitless - 1, 0))


def file_size(file: Path) -> int:
    """Its size in bytes; 0 when it is not there."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _wait(pip: subprocess.Popen[bytes], folder: Path, report: Report) -> None:
    """Wait for pip; what its folder holds meanwhile tells how far it is."""
    try:
        while pip.poll() is None:
            with suppress(FileNotFoundError):  # folders come and go while they are walked
                report(sum(file_size(file) for file in folder.rglob("*")))
            with suppress(subprocess.TimeoutExpired):
                pip.wait(POLL_SECONDS)
    finally:
        pip.kill()
        pip.wait()


def _complaint(log_file: Path) -> str:
    """The last error in pip's log, or its last line."""
    lines = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    errors = [line for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it brought no wheel"])[-1].removeprefix("ERROR: ")


def _continue(url: str, part: Path, size_bytes: int, report: Report) -> None:
    """One connection: append to ``part``, or begin it anew where the server does not resume."""
    have = file_size(part)
    if have >= size_bytes:
        return
    with _connect(url, part, have) as response:
        resumes = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        promised = int(response.headers.get("Content-Length", 0))
        received = 0
        with part.open("ab" if resumes else "wb") as out:
            for chunk in _chunks(response):
                received += out.write(chunk)
                report(out.tell())
                if out.tell() > size_bytes:  # it can't be the right file; its hash will tell
                    return
    if received < promised:
        raise _Interrupted("the connection broke off")


def _connect(url: str, part: Path, have: int) -> HTTPResponse:
    """Ask for a file from byte ``have`` on."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    headers = {"User-Agent": "sepbench", **({"Range": f"bytes={have}-"} if have else {})}
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=STALL_SECONDS)
        return response
    except HTTPError as error:
        answer = f"HTTP {error.code} {error.reason}"
        if error.code == 416:  # nothing there to continue with: from the beginning, then
            part.unlink()
        if error.code in (408, 416, 425, 429) or error.code >= 500:
            raise _Interrupted(answer) from None
        raise DownloadError(answer) from None
    except (OSError, HTTPException) as error:
        raise _Interrupted(str(getattr(error, "reason", error))) from None


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    """What arrives, as it arrives; trouble of the network, not of the disk, is caught here."""
    try:
        while chunk := response.read1(1 << 16):
            yield chunk
    except TimeoutError:
        raise _Interrupted(f"nothing came for {STALL_SECONDS:g} s") from None
    except (OSError, HTTPException) as error:
        raise _Interrupted(str(error)) from None
