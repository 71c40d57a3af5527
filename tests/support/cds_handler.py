"""What a Climate Data Store answers, call by call; `cds_server` tells the calls."""

import hashlib
import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from cds_server import CdsServer, Job


class Handler(BaseHTTPRequestHandler):
    """Answers one connection after another."""

    store: "CdsServer"
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
        if refusal := self.store.refusal(request):
            self._problem(**refusal)
        else:
            self._json(self._document(self.store.add(dataset, request), "accepted"), 201)

    def _document(self, job: "Job", status: str) -> dict[str, Any]:
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

    def _results(self, job: "Job") -> None:
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
