"""A real nginx with the module, and real cells, on loopback, for one test."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from typing import Any, Callable

import cellroute

HERE = pathlib.Path(__file__).resolve().parent
MODULE = os.environ["CELLROUTE_NGINX_MODULE"]
SEED = 6840743513105534701
LONG = 30.0  # the longest that a test waits for something that takes moments
TARGETS = ["/?a=1&a=2&b=", "/a%2Fb/%2e%2e/c%20d?x=%26%3d&y=%C3%A9", "/a//b/./c?", "/;p=1/@:!$&'()*+,=~", "/?q=a+b%2Bc"]


def wait_for(condition: Callable[[], Any], what: str, seconds: float = LONG) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def make_certificate(folder: pathlib.Path, name: str) -> None:
    """NAME.pem, which vouches for itself, and NAME.key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True)


def numbers(text: str) -> dict[str, float]:
    """The samples of a Prometheus text, by name and labels."""
    samples = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in samples}


class Cell:
    """A process of cell.py, which may be killed and come back at its port."""

    def __init__(self, name: str) -> None:
        self.name, self.port = name, 0
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, HERE / "cell.py", self.name, str(self.port)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    def counts(self) -> dict[str, int]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        connection.request("GET", "/counts")
        found = json.loads(connection.getresponse().read())
        connection.close()
        return dict(found)


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def seen(self, name: str) -> list[str]:
        """The values of a header as the cell saw it."""
        return [value for field, value in self.json["headers"] if field.lower() == name.lower()]


class Room:
    """Three cells, a topology and an nginx in a folder of its own."""

    def __init__(self, folder: pathlib.Path, names: tuple[str, ...] = ("a", "b", "c")) -> None:
        self.folder = folder
        folder.chmod(0o755)
        self.cells = {name: Cell(name) for name in names}
        self.port, self.port2 = free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.generation = 0
        self.topology_path = folder / "topology.yaml"
        self.topology_tail = ""

    # The topology

    def topology_text(self, policy: str = "", cell: str = "", top: str = "", names: tuple[str, ...] | None = None) -> str:
        cells = "\n".join(f"  - {{id: {name}, endpoint: 'http://127.0.0.1:{self.cells[name].port}'{cell}}}"
                          for name in names or self.cells)
        return (f"generation: {self.generation}\nhash_seed: {SEED}\n{top}\ncells:\n{cells}\n"
                f"policy: {{affinity: STATEFUL, unassigned: PLACE, timeout: 5s{policy and ', ' + policy}}}\n{self.topology_tail}")

    def publish(self, policy: str = "", **more: Any) -> cellroute.Topology:
        """Writes the next generation, as a whole or not at all."""
        self.generation += 1
        return self.write(self.topology_text(policy, **more))

    def write(self, text: str) -> cellroute.Topology:
        fresh = self.folder / "topology.new"
        fresh.write_text(text)
        fresh.chmod(0o644)
        fresh.rename(self.topology_path)
        return cellroute.Topology.from_bytes(text.encode())

    # nginx

    def configure(self, location: str = "", http: str = "", server: str = "", workers: int = 1, zone: str = "16m",
                  refresh: str = "50ms", upstream: str = "keepalive 16;", main: str = "") -> str:
        location = location or "cellroute key=$http_x_key; proxy_pass http://cells;"
        return f"""
load_module {MODULE};
worker_processes {workers};
error_log {self.folder}/error.log notice;
pid {self.folder}/nginx.pid;
thread_pool default threads=2;
{main}
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path {self.folder}/body; proxy_temp_path {self.folder}/proxy; fastcgi_temp_path {self.folder}/f;
  uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
  access_log off;
  cellroute_zone guards {zone};
  cellroute_topology {self.topology_path};
  cellroute_refresh {refresh};
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  upstream cells {{ cellroute_cells; {upstream} }}
  {http}
  server {{
    listen 127.0.0.1:{self.port} backlog=4096;
    listen 127.0.0.1:{self.port2} http2;
    {server}
    location / {{ {location} }}
  }}
}}
"""

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["/usr/sbin/nginx", "-e", f"{self.folder}/error.log", "-p", str(self.folder), "-c",
                               f"{self.folder}/nginx.conf", *arguments], text=True, capture_output=True, timeout=120)

    def start(self, configuration: str) -> "Room":
        (self.folder / "nginx.conf").write_text(configuration)
        process = self.process = subprocess.Popen(
            ["/usr/sbin/nginx", "-e", f"{self.folder}/error.log", "-p", str(self.folder), "-c",
             f"{self.folder}/nginx.conf", "-g", "daemon off;"], stderr=subprocess.PIPE)
        # Not before it has workers: until then another program may have the port.
        wait_for(lambda: process.poll() is not None or self.workers() and self._answers(), "nginx answers")
        assert process.poll() is None, self.log()
        return self

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def workers(self) -> list[int]:
        assert self.process
        path = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def reload(self, configuration: str | None = None) -> None:
        """Returns when no worker of the configuration before takes connections any more."""
        if configuration is not None:
            (self.folder / "nginx.conf").write_text(configuration)
        before = set(self.workers())
        self.signal(signal.SIGHUP)
        wait_for(lambda: set(self.workers()) - before and not set(self.workers()) & before, "nginx reloads")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(LONG)
            assert self.process.stderr
            self.process.stderr.close()
            self.process = None
        for cell in self.cells.values():
            if cell.process.poll() is None:
                cell.kill()

    def log(self) -> str:
        path = self.folder / "error.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # Requests

    def ask(self, key: str | None = None, target: str = "/", method: str = "GET", body: bytes | None = None,
            fields: dict[str, str] | None = None, **headers: str) -> Answer:
        """`headers` by names with '_' for '-'; `fields` as they are."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()} | (fields or {})
            if key is not None:
                sent["X-Key"] = key
            connection.request(method, target, body, sent)
            return Answer(connection.getresponse())
        finally:
            connection.close()


def homes(topology: cellroute.Topology, keys: list[str]) -> dict[str, str]:
    """Where a router of the Python binding has the keys."""
    router = cellroute.Router(topology, limiter_entries=0)
    return {key: str(router.locate(key).cell) for key in keys}
