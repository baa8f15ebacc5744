"""A shop at a twenty-fold spike behind nginx, with cellroute and without it; a cell is lost at the top of it.

Usage: story.py [CHART.svg]. SECONDS, by default 12, is how long a round takes, of which there are four.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field

from chart import KINDS, Series, chart
from nginx import Nginx, listens
from telling import expect, tell, title, until

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = float(os.environ.get("SECONDS", "12"))
# When the spike begins, the cell dies and is back, and the spike ends: parts of the time.
SPIKE, DEATH, BACK, OVER = 0.2, 0.4, 0.6, 0.85
CALM_CONNECTIONS, CALM_PAUSE_MS = 50, 50  # 1,000 requests a second
SPIKE_CONNECTIONS = 64
CLIENT_LEFT = "499"
BUCKETS = 60
ROUNDS = ("without", "with", "with", "without")  # so that a machine that gets busier favours neither


@dataclass
class Seen:
    """What nginx's log says of a run."""

    begin: float
    kinds: list[Counter[str]] = field(default_factory=lambda: [Counter[str]() for _ in range(BUCKETS)])
    total: Counter[str] = field(default_factory=Counter)
    others_failed: int = 0
    """Requests of customers of the cells that live, which were not answered 200."""
    moved: set[str] = field(default_factory=set)
    """Customers who were answered by two cells."""
    at_spike_ms: list[int] = field(default_factory=list)
    """How long requests took between the spike's begin and the loss."""


class Shop:
    """Three cells, and an nginx before them."""

    def __init__(self, stack: ExitStack, how: str) -> None:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        self.cells = [stack.enter_context(Nginx(folder / f"cell-{number}", HERE / "cell.conf")) for number in (1, 2, 3)]
        ports: dict[str, object] = {f"PORT-{number}": cell.port for number, cell in enumerate(self.cells, 1)}
        topology = (HERE / "topology.yaml").read_text()
        for name, port in ports.items():
            topology = topology.replace(f"@{name}@", str(port))
        (folder / "topology.yaml").write_text(topology)
        words = {"MODULE": os.environ["CELLROUTE_NGINX_MODULE"], "TOPOLOGY": folder / "topology.yaml"} | ports
        self.router = stack.enter_context(Nginx(folder / "router", HERE / f"{how}.conf", words))

    def load(self, connections: int, pause_ms: int, seconds: float) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", HERE / "load.lua",
             f"http://127.0.0.1:{self.router.port}", "--", str(pause_ms)], stdout=subprocess.PIPE, text=True)

    def spike(self) -> Seen:
        begin = time.time()
        calm = self.load(CALM_CONNECTIONS, CALM_PAUSE_MS, SECONDS)
        wait_until(begin + SPIKE * SECONDS)
        many = self.load(SPIKE_CONNECTIONS, 0, (OVER - SPIKE) * SECONDS)
        wait_until(begin + DEATH * SECONDS)
        self.cells[1].end(signal.SIGKILL)
        wait_until(begin + BACK * SECONDS)
        self.cells[1].start()
        for generator in (many, calm):
            generator.communicate()
            expect(generator.returncode, 0)
        self.router.end(signal.SIGQUIT)  # which writes its log out
        return self.read_log(begin)

    def read_log(self, begin: float) -> Seen:
        """A customer's own cell is the one that answered him before the loss."""
        seen, home = Seen(begin), dict[str, str]()
        lost = f"127.0.0.1:{self.cells[1].port}"
        with open(self.router.folder / "seen.log", encoding="ascii") as log:
            for line in log:
                at, status, took, customer, upstream = line.rstrip("\n").split(" ", 4)
                if status == CLIENT_LEFT:  # as wrk does at its end
                    continue
                part = (float(at) - begin) / SECONDS
                cell = upstream.rpartition(" ")[2]  # of those tried, the last
                if part < DEATH and status == "200":
                    home.setdefault(customer, cell)
                kind = "refused" if status != "200" else "own cell" if home.get(customer, cell) == cell else "other cell"
                seen.kinds[min(BUCKETS - 1, max(0, int(part * BUCKETS)))][kind] += 1
                seen.total[kind] += 1
                if kind == "other cell":
                    seen.moved.add(customer)
                if kind == "refused" and home.get(customer, lost) != lost:
                    seen.others_failed += 1
                if SPIKE + 0.05 < part < DEATH:
                    seen.at_spike_ms.append(round(float(took) * 1000))
        return seen


def wait_until(when: float) -> None:
    time.sleep(max(0.0, when - time.time()))


def run(how: str) -> Seen:
    with ExitStack() as stack:
        seen = Shop(stack, how).spike()
    return seen


def told(how: str, seen: Seen) -> None:
    width = SECONDS / BUCKETS
    calm = sum(sum(kinds.values()) for kinds in seen.kinds[:int(SPIKE * BUCKETS)]) / (int(SPIKE * BUCKETS) * width)
    rate = len(seen.at_spike_ms) / ((DEATH - SPIKE - 0.05) * SECONDS)
    slow = sorted(seen.at_spike_ms)[len(seen.at_spike_ms) * 99 // 100] if seen.at_spike_ms else 0
    print(f"    {how:8} {calm:6,.0f} requests/s before, {rate:7,.0f} at the spike (99 of 100 within {slow} ms)")
    print(f"             answered by the customer's own cell {seen.total['own cell']:,}, by another one "
          f"{seen.total['other cell']:,} ({len(seen.moved):,} customers), refused {seen.total['refused']:,}, "
          f"of these of other cells' customers {seen.others_failed:,}")


def story(stack: ExitStack) -> None:
    title(f"{SECONDS:g} seconds: a spike at {SPIKE * SECONDS:g} s, shop-2 dies at {DEATH * SECONDS:g} s "
          f"and is back at {BACK * SECONDS:g} s")
    found: dict[str, Seen] = {}
    for how in ROUNDS:
        seen = found[how] = run(how)
        told(how, seen)
        if how == "with":
            expect((seen.total["other cell"], seen.others_failed, seen.total["refused"] > 0), (0, 0, True))
        else:
            expect(seen.total["other cell"] > 0, True)
    title("Without, customers of the cell that died are served by cells that do not have their orders; "
          "with cellroute they are told when to come back, and nobody else notices")
    if len(sys.argv) > 1:
        width = SECONDS / BUCKETS
        series = [Series(f"nginx {'with cellroute' if how == 'with' else 'alone (hash consistent)'}",
                         [{kind: kinds[kind] / width for kind in KINDS} for kinds in seen.kinds])
                  for how, seen in sorted(found.items(), reverse=True)]
        marks = [(part * SECONDS, what) for part, what in (
            (SPIKE, "spike"), (DEATH, "shop-2 dies"), (BACK, "is back"), (OVER, "over"))]
        pathlib.Path(sys.argv[1]).write_text(chart(series, SECONDS, marks))
        print(f"the chart is in {sys.argv[1]}")


if __name__ == "__main__":
    tell(story)
