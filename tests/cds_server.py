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

import hashlib
import json
import math
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

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
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": self}))
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


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection after another."""

    store: CdsServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    do_HEAD = do_GET

    def _answer(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match [url.path.split("/")[1:], self.command]:
            case [["object", name], _]:
                self._object(name)
            case [["api", "catalogue", "v1", "messages"], "GET"]:
                self._call("messages", lambda: self._json({"messages": []}))
            case [["api", "retrieve", "v1", *rest], _] if self.headers.get("PRIVATE-TOKEN") != self.store.key:
                self._problem(401, "operation not allowed", "authentication failed")
            case [["api", "retrieve", "v1", *rest], _]:
                self._retrieve(rest, json.loads(body or b"{}").get("inputs", {}), parse_qs(url.query))
            case _:
                self._problem(404, "not found", self.path)

    def _retrieve(self, rest: list[str], request: dict[str, Any], query: dict[str, list[str]]) -> None:
        match rest:
            case ["processes", dataset]:
                self._call("process", lambda: self._json({"id": dataset, "links": []}))
            case ["processes", _, "costing"]:
                cost = {"id": "size", "cost": self.store.cost(request), "limit": min(self.store.limit, 1e9)}
                self._call("costing", lambda: self._json(cost))
            case ["processes", dataset, "execution"]:
                self._call("submit", lambda: self._submit(dataset, request))
            case ["jobs"]:
                wanted = set(query.get("status", ()))
                jobs = [job for job in reversed(self.store.jobs.values()) if not wanted or job.states[0] in wanted]
                self._call("list", lambda: self._json({"jobs": [self._document(job, job.states[0]) for job in jobs]}))
            case ["jobs", name] if name in self.store.jobs:
                job = self.store.jobs[name]
                self._call("poll", lambda: self._json(self._document(job, job.poll())))
            case ["jobs", name, "results"] if name in self.store.jobs:
                self._call("results", lambda: self._results(self.store.jobs[name]))
            case _:
                self._problem(404, "job not found", "/".join(rest))

    def _call(self, name: str, act: Callable[[], None]) -> None:
        """Do the fault that is due, or else `act`."""
        fault = self.store.take(name)
        if fault.drop == "after":
            self.wfile.write = lambda raw: len(raw)  # type: ignore[method-assign]  # said into the void
            act()
        if fault.hang:
            self.store.closing.wait(60)
        if fault.hang or fault.drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault.status:
            self._problem(fault.status, fault.title, fault.detail, fault.retry_after)
        else:
            act()

    def _submit(self, dataset: str, request: dict[str, Any]) -> None:
        if self.store.cost(request) > self.store.limit:
            self._problem(**COST)
        else:
            self._json(self._document(self.store.add(dataset, request), "accepted"), 201)

    def _document(self, job: Job, status: str) -> dict[str, Any]:
        href = f"{self.store.url}/retrieve/v1/jobs/{job.name}"
        return {
            "processID": job.dataset,
            "jobID": job.name,
            "status": status,
            "links": [{"rel": rel, "href": href} for rel in ("monitor", "self")],
            "metadata": {
                "request": {"ids": job.request},
                "log": [["2026-01-01T00:00:00", f"INFO: {status}, 3 requests ahead"]],
            },
        }

    def _results(self, job: Job) -> None:
        state = job.states[-1]
        if state != "successful":
            return self._problem(400, f"The job has {state.replace('rejected', 'been rejected')}", traceback=job.reason)
        raw = self.store.data(job)
        asset = {
            "type": "application/x-grib",
            "href": f"/object/{job.name}",
            "file:checksum": f"{int(hashlib.md5(raw).hexdigest(), 16):x}",  # no leading zeros, as the real one
            "file:size": len(raw),
            "file:local_path": f"s3://cache/{job.name}.grib",
        }
        said = {name: value for name, value in (asset | self.store.asset).items() if name not in self.store.without}
        return self._json({"asset": {"value": said}})

    def _object(self, name: str) -> None:
        self.store.keys.append(self.headers.get("PRIVATE-TOKEN"))
        self.store.fetched.add(name)
        fault = self.store.take("download")
        if fault.hang:
            self.store.closing.wait(60)
        if fault.status:
            return self._problem(fault.status, fault.title)
        raw = self.store.alter(self.store.data(self.store.jobs[name]))
        first = self._first() if self.store.ranges else 0
        if first >= len(raw) > 0:
            return self._problem(416, "range not satisfiable")
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(raw) - first))
        if self.store.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(raw) - 1}/{len(raw)}")
        self.end_headers()
        return self._send(raw[first:], fault.cut) if self.command == "GET" else None

    def _first(self) -> int:
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])

    def _send(self, raw: bytes, cut: int) -> None:
        third = -(-len(raw) // 3)
        try:
            for start in range(0, cut or len(raw), third):
                self.wfile.write(raw[start : min(start + third, cut or len(raw))])
                self.wfile.flush()
                self.store.closing.wait(self.store.slow)
        except OSError:
            cut = 1  # the client is gone
        if cut:
            self.close_connection = True

    def _problem(self, status: int, title: str, detail: str = "", retry_after: str = "", traceback: str = "") -> None:
        content = {"type": "problem", "title": title, "status": status, "trace_id": "1"}
        content |= {name: text for name, text in (("detail", detail), ("traceback", traceback)) if text}
        self._json(content, status, {"Retry-After": retry_after} if retry_after else {})

    def _json(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)


def serving(produce, monkeypatch, folder) -> Iterator[CdsServer]:
    """A server for a fixture: its address and key in the environment, no ~/.cdsapirc."""
    with CdsServer(produce) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CDSAPI_RC", str(folder / "no.cdsapirc"))
        yield server
