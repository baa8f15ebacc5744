"""HAProxy, its cells and its clients, as the tests run them: all on loopback, on ports nobody had."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

SOURCE = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
BINDING = SOURCE / "bindings/haproxy"
MODULE = pathlib.Path(os.environ["CELLROUTE_HAPROXY_MODULE"])
CELLS = ("cell-1", "cell-2", "cell-3")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for what should come true soon."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def readme_block(language: str, number: int = 0) -> str:
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", (BINDING / "README.md").read_text(), re.DOTALL)
    return blocks[number]


def replaced(text: str, places: dict[str, str]) -> str:
    for name, place in places.items():
        assert name in text, f"the README's configuration has no {name} any more"
        text = text.replace(name, place)
    return text


class Cell:
    def __init__(self, name: str) -> None:
        self.name, self.port = name, 0
        self.start()

    def start(self) -> None:
        arguments = [sys.executable, str(HERE / "cell.py"), self.name] + ([str(self.port)] if self.port else [])
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Told:
    """A request as the cell got it."""

    cell: str
    method: str
    target: str
    headers: list[list[str]]
    body: int
    sha: str
    busy: int

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name]
        assert len(found) <= 1, f"{name} comes {len(found)} times"
        return found[0] if found else None

    def told(self) -> Told:
        assert self.status == 200, (self.status, self.body)
        return Told(**json.loads(self.body))


def fetch(port: int, target: str = "/", *headers: str, method: str = "GET", body: bytes | None = None,
          http2: bool = False, timeout: float = 20) -> Answer:
    """By curl, which sends what it is given as it is, in either version of HTTP."""
    command = ["curl", "-q", "--silent", "--show-error", "--include", "--path-as-is", "--globoff", "--max-time",
               str(timeout), "--http2-prior-knowledge" if http2 else "--http1.1"]
    command += ["--head"] if method == "HEAD" else ["--request", method]
    for header in headers:
        command += ["--header", header]
    if body is not None:
        command += ["--header", "Content-Type: application/octet-stream", "--data-binary", "@-"]
    ended = subprocess.run([*command, f"http://127.0.0.1:{port}{target}"], input=body, capture_output=True)
    if ended.returncode != 0:
        raise ConnectionError(ended.stderr.decode())
    return parsed(ended.stdout)


def parsed(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    status = int(line.split(" ")[1])
    if status == 100:
        return parsed(body)
    return Answer(status, [(name, value) for name, _, value in (text.partition(": ") for text in rest)], body)


class Connection:
    """A connection of HTTP/1.1 that stays, for many small requests."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.rest = b""

    def get(self, target: str, *headers: str) -> Answer:
        lines = [f"GET {target} HTTP/1.1", "Host: localhost", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        answer = parsed(head + b"\r\n\r\n")
        size = int(answer.header("content-length") or "0")
        while len(self.rest) < size:
            self._more()
        answer.body, self.rest = self.rest[:size], self.rest[size:]
        return answer

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed")
        self.rest += data

    def close(self) -> None:
        self.socket.close()


@dataclass
class Proxy:
    folder: pathlib.Path
    config: pathlib.Path
    port: int
    http2_port: int
    process: subprocess.Popen[bytes]
    log: pathlib.Path
    topology: pathlib.Path
    cells: dict[str, Cell] = field(default_factory=dict)

    def workers(self) -> list[int]:
        """Of master-worker mode: the master's children."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]

    def reload(self) -> None:
        """Until another worker is there. A signal is lost on a master that is just being executed anew."""
        before = set(self.workers())
        for _ in range(20):
            self.process.send_signal(signal.SIGUSR2)
            with contextlib.suppress(AssertionError):
                until(lambda: not set(self.workers()) <= before, 2)
                return
        raise AssertionError(self.log.read_text())

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


def module_folder(folder: pathlib.Path) -> pathlib.Path:
    made = folder / "module"
    made.mkdir()
    (made / "cellroute.lua").symlink_to(BINDING / "cellroute.lua")
    (made / "cellroute_haproxy.so").symlink_to(MODULE)
    return made


def write_whole(path: pathlib.Path, text: str) -> None:
    """So that no reader sees half of it."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


@contextlib.contextmanager
def proxy(folder: pathlib.Path, cells: dict[str, Cell], topology: str, *, config: str | None = None,
          places: dict[str, str] | None = None, arguments: tuple[str, ...] = ("-db",)) -> Iterator[Proxy]:
    """The README's first configuration, or another one with its names, at places of this machine."""
    file, log = folder / "haproxy.cfg", folder / "log"
    port, http2_port = free_port(), free_port()
    text = readme_block("haproxy") if config is None else config
    names = {"/usr/lib/cellroute": str(module_folder(folder)), "/etc/cellroute/topology.yaml":
             str(folder / "topology.yaml"), "bind :8080": f"bind 127.0.0.1:{port}", "bind :8081":
             f"bind 127.0.0.1:{http2_port}"}
    names |= {f"10.0.0.{i}:8080": f"127.0.0.1:{cell.port}" for i, cell in enumerate(cells.values(), 1)}
    file.write_text(replaced(text, names | (places or {})))
    (folder / "topology.yaml").write_text(topology)
    with open(log, "wb") as output:
        process = subprocess.Popen(["haproxy", *arguments, "-f", file], stdout=output, stderr=output)
    started = Proxy(folder, file, port, http2_port, process, log, folder / "topology.yaml", cells)
    try:
        until(lambda: process.poll() is not None or accepts(port))
        assert process.poll() is None, log.read_text()
        yield started
    finally:
        if process.poll() is None:
            started.stop()


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
