"""A Climate Data Store on this machine: enough of its protocol for an unmodified `cdsapi` 0.7, with faults on demand.

    with CdsServer(produce) as server:      # produce(dataset, request) → bytes of the delivered file
        server.fault("submit", status=503, times=2)
        …                                   # with server.environment in os.environ

Calls, by the names that `fault` and `count` take:

    messages  GET  /api/catalogue/v1/messages
    process   GET  /api/retrieve/v1/processes/DATASET
    costing   POST /api/retrieve/v1/processes/DATASET/costing
    submit    POST /api/retrieve/v1/processes/DATASET/execution
    list      GET  /api/retrieve/v1/jobs
    poll      GET  /api/retrieve/v1/jobs/ID
    results   GET  /api/retrieve/v1/jobs/ID/results
    download  GET  /object/NAME             (no key asked for; Range understood)
"""

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

from cds_handler import Handler

KEY = "0f1e2d3c-secret-4b5a-9687-key-of-the-tests"
LICENCE = {"status": 403, "title": "required licences not accepted", "detail": "please accept them"}
COST = {"status": 403, "title": "cost limits exceeded", "detail": "your request is too large"}
QUEUE = "Number of API queued requests for this dataset is temporarily limited."


@dataclass
class Fault:
    """What happens at a call: an HTTP `status`, a `hang`, or a `drop` of the connection before or after the act."""

    status: int = 0
    title: str = "out of order"
    detail: str = ""
    hang: bool = False
    drop: str = ""  # "before": nothing is done; "after": done, but the answer is lost
    cut: int = 0  # download: bytes sent before the connection drops
    retry_after: str = ""
    skip: int = 0  # calls that go well first
    times: int = 10**9


@dataclass
class Job:
    """A request on its way: every poll takes the next of `states`, and the last stays."""

    name: str
    dataset: str
    request: dict[str, Any]
    states: list[str]
    reason: str = ""

    def poll(self) -> str:
        """The next status."""
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


@dataclass
class CdsServer:
    """The store: jobs are delivered after the given `states`; one request may hold `limit` fields."""

    produce: Callable[[str, dict[str, Any]], bytes]
    key: str = KEY
    states: tuple[str, ...] = ("accepted", "running", "successful")
    reason: str = ""  # of jobs that fail or are rejected
    limit: float = math.inf
    queue: float = math.inf  # jobs that may be under way at once; others are rejected
    ranges: bool = True
    asset: dict[str, Any] = field(default_factory=dict)  # overrides what /results says of the file
    without: tuple[str, ...] = ()  # what /results does not say
    alter: Callable[[bytes], bytes] = bytes  # what becomes of a file on its way
    slow: float = 0  # seconds between the thirds of a download
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)  # sent to the object store
    jobs: dict[str, Job] = field(default_factory=dict)
    fetched: set[str] = field(default_factory=set)  # jobs whose file was asked for
    most: int = 0  # jobs that were under way at once

    def __enter__(self) -> "CdsServer":
        self.lock, self.closing = threading.RLock(), threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"store": self}))
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        """Address for `CDSAPI_URL`."""
        return f"http://127.0.0.1:{self.http.server_port}/api"

    @property
    def environment(self) -> dict[str, str]:
        """What a user would have in the environment."""
        return {"CDSAPI_URL": self.url, "CDSAPI_KEY": self.key}

    def fault(self, call: str, **what: Any) -> None:
        """Let `call` go wrong as `Fault` says."""
        self.faults.setdefault(call, []).append(Fault(**what))

    def count(self, call: str) -> int:
        """How often `call` has come."""
        return self.calls.count(call)

    def take(self, call: str) -> Fault:
        """The fault that is due at `call`; an empty one if none."""
        with self.lock:
            self.calls.append(call)
            for fault in self.faults.get(call, []):
                if fault.skip > 0:
                    fault.skip -= 1
                elif fault.times > 0:
                    fault.times -= 1
                    return fault
        return Fault()

    def cost(self, request: dict[str, Any]) -> int:
        """Fields asked for; a list as grid counts as two values, as in the real one."""
        lists = [value for value in request.values() if isinstance(value, list)]
        return math.prod(len(value) for value in lists)

    def refusal(self, request: dict[str, Any]) -> dict[str, Any]:
        """The problem of a request over the limit; nothing of one that is not."""
        return COST if self.cost(request) > self.limit else {}

    def add(self, dataset: str, request: dict[str, Any]) -> Job:
        """A new job, in the queue or (when that is full) rejected."""
        with self.lock:
            full = sum(job.states[-1] == "successful" and len(job.states) > 1 for job in self.jobs.values())
            states, reason = (["failed"], QUEUE) if full >= self.queue else (list(self.states), self.reason)
            job = Job(f"job-{len(self.jobs) + 1}", dataset, request, states, reason)
            self.jobs[job.name] = job
            self.most = max(self.most, len(self.jobs.keys() - self.fetched))
            return job

    def data(self, job: Job) -> bytes:
        """The true file of a job."""
        return self.produce(job.dataset, job.request)


def serving(produce, monkeypatch, folder) -> Iterator[CdsServer]:
    """A server for a fixture: its address and key in the environment, no ~/.cdsapirc."""
    with CdsServer(produce) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CDSAPI_RC", str(folder / "no.cdsapirc"))
        yield server
