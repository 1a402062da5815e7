"""A small W&B server on the loopback address."""

import gzip
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Shown:
    """A run as the server has it."""

    facts: dict[str, Any] = field(default_factory=dict)  # of the last mutation that named each
    lines: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_codes: list[int] = field(default_factory=list)
    preempting: int = 0
    files: set[str] = field(default_factory=set)

    @property
    def history(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    @property
    def epochs(self) -> list[int]:
        return [int(row["epoch"]) for row in self.history if "epoch" in row]

    @property
    def config(self) -> dict[str, Any]:
        entries = json.loads(self.facts["config"])
        return {name: entry["value"] for name, entry in entries.items() if name != "_wandb"}


class Server(ThreadingHTTPServer):
    """Answers what wandb 0.31 asks while it records and syncs runs; lines of a history lie where their offset says."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.runs: dict[str, Shown] = {}
        self.requests: list[str] = []
        self.lock = threading.Lock()
        self.die_after: int | None = None  # requests with a history
        self.url = f"http://127.0.0.1:{self.server_port}"

    @property
    def run(self) -> Shown:
        """The only run."""
        (only,) = self.runs.values()
        return only

    @property
    def is_dead(self) -> bool:
        return self.die_after is not None and self.die_after <= 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is none of our errors."""

    def answer(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        project = {"id": "p", "name": given.get("project"), "entity": {"id": "e", "name": given.get("entity") or "us"}}
        if "upsertBucket" in query:
            name = given["name"]
            run = self.runs.setdefault(name, Shown())
            run.facts |= {key: value for key, value in given.items() if value is not None}
            bucket = {"id": name, "name": name, "displayName": run.facts.get("displayName"), "project": project}
            return {"upsertBucket": {"bucket": bucket | {"config": run.facts.get("config")}, "inserted": True}}
        if "RunResumeStatus" in query:
            return {"model": project | {"bucket": self._resume_status(given["name"])}}
        if "CreateRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.url}/upload/{given['run']}/{name}"} for name in given["files"]]
            return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}
        if "query ArtifactType(" in query:
            return {"project": {"artifact": None}}
        if "CreateArtifact" in query:  # a table; the server says that it has this one already
            artifact = {"id": "a", "state": "COMMITTED", "artifactSequence": {"id": "s", "latestArtifact": None}}
            return {"createArtifact": {"artifact": artifact}}
        if "viewer" in query:
            return {"viewer": {"id": "u", "entity": "us", "username": "us", "flags": "{}", "teams": {"edges": []}}}
        if "serverInfo" in query:
            return {"serverInfo": {"features": [], "cliVersionInfo": None, "latestLocalVersionInfo": None}}
        return {}

    def _resume_status(self, name: str) -> dict[str, Any] | None:
        run = self.runs.get(name)
        if run is None:
            return None
        return {
            "id": name,
            "name": name,
            "summaryMetrics": json.dumps(run.summary),
            "displayName": run.facts.get("displayName"),
            "logLineCount": 0,
            "historyLineCount": len(run.lines),
            "eventsLineCount": 0,
            "historyTail": json.dumps(run.lines[-1:]),
            "eventsTail": "[]",
            "config": run.facts.get("config", "{}"),
            "tags": run.facts.get("tags", []),
            "notes": None,
            "wandbConfig": '{"t": 1}',
        }

    def stream(self, name: str, sent: dict[str, Any]) -> None:
        run = self.runs.setdefault(name, Shown())
        for file, chunk in (sent.get("files") or {}).items():
            if file == "wandb-history.jsonl":
                run.lines[chunk["offset"] : chunk["offset"] + len(chunk["content"])] = chunk["content"]
                if self.die_after is not None:
                    self.die_after -= 1
            elif file == "wandb-summary.json":
                run.summary = json.loads(chunk["content"][-1])
        run.preempting += bool(sent.get("preempting"))
        if "exitcode" in sent:
            run.exit_codes.append(sent["exitcode"])


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._reply({})

    def do_GET(self) -> None:
        self._reply({})

    def do_PUT(self) -> None:
        self._body()
        _, kind, name, file = self.path.split("/", 3)
        if kind == "upload":
            self.server.runs[name].files.add(file)
        self._reply({})

    def do_POST(self) -> None:
        body = self._body()
        with self.server.lock:
            if self.server.is_dead:
                self.connection.close()
                return
            if self.path == "/graphql":
                asked = json.loads(body)
                self.server.requests.append(asked["query"].split("(")[0])
                self._reply({"data": self.server.answer(asked["query"], asked.get("variables") or {})})
            elif self.path.endswith("/file_stream"):
                self.server.stream(self.path.split("/")[-2], json.loads(body))
                self._reply({"limits": {}})
            else:
                self._reply({})

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
