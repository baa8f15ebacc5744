#!/usr/bin/python3
"""What cellroute costs inside nginx, beside nginx's own ways to choose an upstream.

    benchmarks/nginx_bench.py instructions    instructions a request, under callgrind
    benchmarks/nginx_bench.py rate            requests a second and latency by wrk, in interleaved rounds

The configurations differ in how they choose among three servers, which are another nginx that answers at once: `one
server` chooses nothing; `hash consistent` hashes; `map` looks 100,000 keys up and names the upstream by the variable;
`cellroute` decides, with a breaker and a cap a cell, and tells the cell its id, the epoch and a new request id, which a map
that is to do the same must be told to do; the last one has a limit for each key besides.
Needs the tree built in BUILD_DIR (build), and what .ci/dependencies nginx benchmark check installs.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("BUILD_DIR", SOURCE / "build")).resolve()
NGINX = "/usr/sbin/nginx"
KEYS = 100_000
IDLE = 100  # connections that wait, as a server always has some: nginx keeps a timer for each
TOLD = "map, the same headers"
LIMITED = "cellroute, a limit a key"
KINDS = ("one server", "hash consistent", "map", TOLD, "cellroute", LIMITED)
TOPOLOGY = """
generation: 1
hash_seed: 6840743513105534701
cells:
{cells}
policy:
  affinity: STATEFUL
  unassigned: PLACE
  breaker: {{consecutive_failures: 5, failure_rate: 0.5, minimum_calls: 20, window: 10s, open: 30s, probes: 3}}
  limits: {limits}
  in_flight: {{per_cell: 10000, deadline: 60s}}
"""
COMMON = """
pid {folder}/{name}.pid;
error_log {folder}/{name}.log warn;
events {{ worker_connections 2048; }}
http {{
  client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t; uwsgi_temp_path {folder}/t;
  scgi_temp_path {folder}/t;
  access_log off;
  keepalive_requests 100000000;
"""


def named(kind: str) -> str:
    return re.sub(r"\W+", "-", kind)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for taken in sockets:
        taken.bind(("127.0.0.1", 0))
    ports = [int(taken.getsockname()[1]) for taken in sockets]
    for taken in sockets:
        taken.close()
    return ports


def upstream(name: str, how: str, ports: list[int]) -> str:
    servers = " ".join(f"server 127.0.0.1:{port};" for port in ports)
    return f"upstream {name} {{ {how} {servers} keepalive 64; keepalive_requests 100000000; }}\n"


class Bench:
    """The servers, and a configuration of each kind, in a folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        folder.chmod(0o755)
        self.port, *self.cells = free_ports(4)
        cells = "".join(f"  - {{id: cell-{i}, endpoint: 'http://127.0.0.1:{port}'}}\n" for i, port in enumerate(self.cells))
        (folder / "cellroute.yaml").write_text(TOPOLOGY.format(cells=cells, limits="[]"))
        (folder / f"{named(LIMITED)}.yaml").write_text(
            TOPOLOGY.format(cells=cells, limits="[{per: KEY, kind: BUCKET, requests: 1000000, period: 1s}]"))
        self.write("servers", "worker_processes 1;", "".join(
            f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 \"ok\\n\"; }} }}\n" for port in self.cells))
        for kind in KINDS:
            self.write(named(kind), *self.parts(kind))

    def parts(self, kind: str) -> tuple[str, str]:
        top, choose, before = "", "", ""
        target = "http://cells"
        if kind == "one server":
            before = upstream("cells", "", self.cells[:1])
        elif kind == "hash consistent":
            before = upstream("cells", "hash $http_x_key consistent;", self.cells)
        elif kind in ("map", TOLD):
            lines = "".join(f"key-{i} cell-{i % 3};\n" for i in range(KEYS))
            before = f"map_hash_max_size 262144; map_hash_bucket_size 128;\nmap $http_x_key $cell {{\n{lines}}}\n"
            before += "".join(upstream(f"cell-{i}", "", [port]) for i, port in enumerate(self.cells))
            target = "http://$cell"
            if kind == TOLD:
                choose = ("proxy_set_header X-Cell-ID $cell; proxy_set_header X-Cell-Epoch 0; "
                          "proxy_set_header X-Request-ID $request_id;")
        else:
            top = f"load_module {BUILD}/nginx/ngx_http_cellroute_module.so; thread_pool default threads=1;"
            before = (f"cellroute_zone guards 64m; cellroute_topology {self.folder}/{named(kind)}.yaml; cellroute_refresh 1h;\n"
                      + upstream("cells", "cellroute_cells;", []))
            choose = "cellroute key=$http_x_key;"
        server = (f"server {{ listen 127.0.0.1:{self.port} backlog=4096; location / {{ {choose} proxy_http_version 1.1; "
                  f"proxy_set_header Connection \"\"; proxy_pass {target}; }} }}\n")
        return f"worker_processes 1; {top}", before + server

    def write(self, name: str, top: str, inside: str) -> None:
        text = top + COMMON.format(folder=self.folder, name=name) + inside + "}\n"
        (self.folder / f"{name}.conf").write_text(text)

    def start(self, name: str, *before: str, single: bool = False) -> subprocess.Popen[bytes]:
        name = named(name)
        directives = "daemon off; master_process off;" if single else "daemon off;"
        process = subprocess.Popen([*before, NGINX, "-e", f"{self.folder}/{name}.log", "-c", f"{self.folder}/{name}.conf",
                                    "-g", directives], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = self.cells[0] if name == "servers" else self.port
        for _ in range(6000):
            if process.poll() is not None:
                sys.exit(f"nginx_bench: {name} does not start:\n" + (self.folder / f"{name}.log").read_text())
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return process
            except OSError:
                time.sleep(0.02)
        sys.exit(f"nginx_bench: {name} does not answer")

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """A single process sees a signal when its next event comes."""
        process.send_signal(signal.SIGTERM)
        for _ in range(600):
            try:
                process.wait(0.1)
                return
            except subprocess.TimeoutExpired:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
        process.kill()


def instructions_of(bench: Bench, kind: str, requests: int) -> int:
    """Of the whole process, that answered so many."""
    out = bench.folder / "callgrind.out"
    process = bench.start(kind, "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", single=True)
    idle = [socket.create_connection(("127.0.0.1", bench.port), 60) for _ in range(IDLE)]
    connection = http.client.HTTPConnection("127.0.0.1", bench.port, timeout=60)
    for i in range(requests):
        connection.request("GET", "/a/b?c=d", headers={"X-Key": f"key-{i * 37 % KEYS}", "User-Agent": "bench", "Accept": "*/*"})
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            sys.exit(f"nginx_bench: {kind} answers {response.status}")
    for each in (connection, *idle):
        each.close()
    bench.stop(process)
    found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M)
    if found is None:
        sys.exit(f"nginx_bench: {out} has no summary")
    return int(found[1])


def instructions(bench: Bench, requests: int) -> None:
    """By the difference of two runs, so that starting, connecting and ending do not count."""
    counts = {}
    for kind in KINDS:
        few, many = (instructions_of(bench, kind, count) for count in (requests // 5, requests))
        counts[kind] = (many - few) / (requests - requests // 5)
    least = counts["one server"]
    print(f"| configuration | instructions a request | for the choice |\n| --- | ---: | ---: |")
    for kind, count in counts.items():
        print(f"| {kind} | {count:,.0f} | {count - least:,.0f} |")
    if counts["cellroute"] >= counts["map"]:
        sys.exit("nginx_bench: cellroute costs more than a map, which tells the cell nothing")


WRK = """
local i = 0
request = function()
  i = i + 37
  return wrk.format("GET", "/a/b?c=d", {["X-Key"] = "key-" .. (i % 100000)})
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %f %f %d\\n", summary.requests / summary.duration * 1e6, latency:percentile(99.0),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
"""


def rate(bench: Bench, rounds: int, seconds: int) -> None:
    script = bench.folder / "wrk.lua"
    script.write_text(WRK)
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        for kind in KINDS[number % 2::] + KINDS[:number % 2]:
            process = bench.start(kind)
            told = subprocess.run(["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{bench.port}"],
                                  capture_output=True, text=True, check=True).stdout
            bench.stop(process)
            result = re.search(r"RESULT (\S+) (\S+) (\d+)", told)
            if result is None or result[3] != "0":
                sys.exit(f"nginx_bench: {kind}: wrk tells of errors\n{told}")
            found[kind].append((float(result[1]), float(result[2]) / 1000))
    print("| configuration | requests/s, median | least to most | p99 ms, median | least to most |\n| --- | ---: | ---: | ---: | ---: |")
    for kind, rows in found.items():
        rates, latencies = zip(*rows)
        print(f"| {kind} | {statistics.median(rates):,.0f} | {min(rates):,.0f} to {max(rates):,.0f} | "
              f"{statistics.median(latencies):.2f} | {min(latencies):.2f} to {max(latencies):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["instructions", "rate"])
    parser.add_argument("--requests", type=int, default=10_000, help="for instructions (10,000)")
    parser.add_argument("--rounds", type=int, default=7, help="for rate (7)")
    parser.add_argument("--seconds", type=int, default=5, help="of a round (5)")
    given = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nginx-bench-"))
    bench = Bench(folder)
    os.environ["LD_LIBRARY_PATH"] = str(BUILD / "lib")
    servers = bench.start("servers")
    try:
        if given.what == "instructions":
            instructions(bench, given.requests)
        else:
            rate(bench, given.rounds, given.seconds)
    finally:
        bench.stop(servers)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
