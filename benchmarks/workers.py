"""Dask workers, given one task each at a time and watched while they run it.

Dask does the executing. What is added here is what a benchmark needs and a task graph does not
give: a limit of time for each task, a dead or overgrown worker that costs one task and no more,
and a liking for workers that already hold the model a task needs.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.errors import UserError

POLL_SECONDS = 0.5
WITHOUT_WORKERS_SECONDS = 60.0
THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True)
class Lost:
    """A task without a result: what became of it, and the traceback where there is one."""

    status: Literal["failed", "timed out", "unavailable", "not applicable"]
    reason: str
    details: str = ""


@dataclass(eq=False)
class Task:
    """A function to run on a worker.

    ``arguments`` is called when the task is sent, so that waiting tasks hold no sound in memory.
    ``finish`` is called here with the result, or with what was lost, and may give further tasks.
    Tasks of one ``group`` like to run on one worker.
    """

    label: str
    group: str
    function: Callable[..., Any]
    arguments: Callable[[], tuple[Any, ...]]
    finish: Callable[[Any], list[Task]]


@dataclass(eq=False)
class _Running:
    task: Task
    worker: str
    started: float = field(default_factory=time.monotonic)
    overdue: bool = False


class Workers:
    """A pool of Dask workers. Use it as a context manager; they start with the first task.

    Args:
        scheduler: address of a running Dask scheduler; empty: a local cluster of processes.
        count: local worker processes, each of one thread; 0: one a core.
        timeout_seconds: how long one task may take.
        memory_limit: what a local worker may hold, as Dask writes it ("4 GiB"), or "auto".
    """

    def __init__(
        self,
        *,
        scheduler: str = "",
        count: int = 0,
        timeout_seconds: float = 600.0,
        memory_limit: str = "auto",
    ) -> None:
        self.scheduler = scheduler
        self.count = count or os.cpu_count() or 1
        self.timeout_seconds = timeout_seconds
        self.memory_limit = memory_limit
        self._stack = contextlib.ExitStack()
        self._last_group: dict[str, str] = {}
        self._last_life = 0.0

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *failure: Any) -> None:
        self._stack.close()

    @functools.cached_property
    def client(self) -> Any:
        """The connection to the scheduler, which is started with it when it is a local one."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(_dask_settings())
            client = stack.enter_context(self._connect(stack))
            self._stack = stack.pop_all()
        return client

    def _connect(self, stack: contextlib.ExitStack) -> Any:
        from distributed import Client, LocalCluster

        if self.scheduler:
            try:
                return Client(self.scheduler, timeout=10)
            except (OSError, ValueError) as error:
                raise UserError(
                    f"no Dask scheduler answers at {self.scheduler}: start one with "
                    "`dask scheduler`, or leave --scheduler out to run on this machine."
                ) from error
        cluster = stack.enter_context(
            LocalCluster(
                n_workers=self.count,
                threads_per_worker=1,
                processes=True,
                memory_limit=self.memory_limit,
                dashboard_address=":0",
                silence_logs=logging.CRITICAL,
            )
        )
        return Client(cluster)

    def addresses(self) -> list[str]:
        """The workers that are there now."""
        return list(self.client.scheduler_info(n_workers=-1)["workers"])

    def on_each(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """Run a function once on every worker: address and result."""
        found: dict[str, Any] = self.client.run(function, *arguments)
        return found

    def run(self, tasks: list[Task]) -> Iterator[Task]:
        """Run all tasks, and those that they lead to; each is given back when it is finished.

        Raises:
            UserError: every worker of a cluster is gone, and none came back.
        """
        waiting, running = list(tasks), dict[Any, _Running]()
        self._last_life = time.monotonic()
        while waiting or running:
            yield from self._send_some(waiting, running)
            ended = [(future, running.pop(future)) for future in self._ended(running)]
            yield from self._send_some(waiting, running)  # no worker waits for our reading
            for future, one in ended:
                waiting[:0] = one.task.finish(self._outcome(future, one))
                future.release()
                yield one.task

    def _send_some(self, waiting: list[Task], running: dict[Any, _Running]) -> Iterator[Task]:
        """Give each idle worker a task; a task that can't even be sent is finished here."""
        busy = {one.worker for one in running.values()}
        idle = [worker for worker in self.addresses() if worker not in busy] if waiting else []
        self._check_for_life(any_worker=bool(idle or busy or not waiting))
        for worker in idle:
            if not waiting:
                return
            task = _next_for(self._last_group.get(worker, ""), waiting, running)
            self._last_group[worker] = task.group
            try:
                running[self._send(task, worker)] = _Running(task, worker)
            except (UserError, OSError) as error:
                waiting[:0] = task.finish(Lost("failed", str(error)))
                yield task

    def _check_for_life(self, *, any_worker: bool) -> None:
        if any_worker:
            self._last_life = time.monotonic()
        elif time.monotonic() - self._last_life > WITHOUT_WORKERS_SECONDS:
            raise UserError(
                f"no worker has been there for {WITHOUT_WORKERS_SECONDS:g} s; start some, and "
                "repeat the command: what was finished is kept."
            )

    def _send(self, task: Task, worker: str) -> Any:
        return self.client.submit(
            task.function,
            *task.arguments(),
            workers=[worker],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )

    def _ended(self, running: dict[Any, _Running]) -> list[Any]:
        """The futures that have ended, well or not, after waiting a little for one."""
        from distributed import wait

        if not running:
            time.sleep(POLL_SECONDS)
            return []
        with contextlib.suppress(TimeoutError):
            wait(list(running), timeout=POLL_SECONDS, return_when="FIRST_COMPLETED")
        ended = [future for future in running if future.done()]
        return ended or self._overdue(running) or self._orphaned(running)

    def _outcome(self, future: Any, one: _Running) -> Any:
        if one.overdue:
            reason = f"took longer than {self.timeout_seconds:g} s; allow more with --timeout"
            return Lost("timed out", reason)
        if future.status == "finished":
            return future.result()
        error = future.exception() if future.status == "error" else None
        if error is None or type(error).__name__ == "KilledWorker":
            return Lost("failed", self._why_it_died(one.worker))
        return _lost_by(error, future.traceback())

    def _overdue(self, running: dict[Any, _Running]) -> list[Any]:
        """Tasks over their time: their workers are restarted, the others go on."""
        now = time.monotonic()
        late = [f for f, one in running.items() if now - one.started > self.timeout_seconds]
        for future in late:
            running[future].overdue = True
            future.cancel()
            with contextlib.suppress(Exception):  # a worker without a nanny can't be restarted
                self.client.restart_workers(
                    [running[future].worker], timeout=30, raise_for_error=False
                )
        return late

    def _orphaned(self, running: dict[Any, _Running]) -> list[Any]:
        """Tasks whose worker is gone without the scheduler having given them up."""
        there = set(self.addresses())
        return [f for f, one in running.items() if one.worker not in there and not f.done()]

    def _why_it_died(self, worker: str) -> str:
        overgrown = self.client.get_events("worker-restart-memory")
        if any(event["worker"] == worker for _, event in overgrown):
            return (
                f"outgrew the memory that a worker may hold ({self.memory_limit}); "
                "allow more with --memory-limit, or use fewer --workers"
            )
        return "its worker process died: a crash in compiled code, or killed from outside"


def _next_for(group: str, waiting: list[Task], running: dict[Any, _Running]) -> Task:
    """A task of the worker's last group; else of one that no other worker has; else the first."""
    elsewhere = {one.task.group for one in running.values()}
    place = next((n for n, task in enumerate(waiting) if task.group == group), None)
    if place is None:
        place = next((n for n, task in enumerate(waiting) if task.group not in elsewhere), 0)
    return waiting.pop(place)


def _lost_by(error: BaseException, trace: Any) -> Lost:
    """An exception of a task, as a status and one line."""
    import traceback

    from benchmarks.contract import Unavailable
    from benchmarks.separation import BadEstimate, NotApplicable

    details = "".join(traceback.format_exception(type(error), error, trace))
    line = " ".join(str(error).split()) or "no message"
    if isinstance(error, Unavailable):
        return Lost("unavailable", line)
    if isinstance(error, NotApplicable):
        return Lost("not applicable", line)
    if isinstance(error, UserError | BadEstimate):
        return Lost("failed", line, details)
    return Lost("failed", f"{type(error).__name__}: {line}", details)


def _dask_settings() -> contextlib.AbstractContextManager[Any]:
    """One thread a worker, no second tries, no spilling: a cell that does not fit is told so."""
    import dask
    import distributed  # noqa: F401  its defaults must be there before ours, and outlive them

    return dask.config.set(
        {
            "distributed.nanny.pre-spawn-environ": dict.fromkeys(THREAD_LIMITS, "1"),
            "distributed.scheduler.allowed-failures": 0,
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.pause": False,
            "distributed.worker.memory.terminate": 0.95,
            "distributed.admin.large-graph-warning-threshold": "4 GiB",
            "distributed.comm.timeouts.connect": "30s",
        }
    )
