#!/usr/bin/python3
"""nginx at load with faults: cells that die and come back, clients that go, new topologies; its memory must not grow.

    PYTHONPATH=bindings/python CELLROUTE_LIBRARY=build/lib/libcellroute.so LD_LIBRARY_PATH=build/lib \\
      CELLROUTE_NGINX_MODULE=build/nginx/ngx_http_cellroute_module.so tests/nginx/soak.py \\
      [--warm-up 300] [--seconds 600] [--growth 1]

Pools and caches fill for --warm-up seconds. Then the workers' own memory, shared memory apart, is read each second: growth
is what the median of the last tenth of the time is above that of the first. Every answer is checked: its cell is its key's,
which got all of its body. At the end, without clients and cells, the workers' descriptors are counted. Exits 1 where
memory grew by --growth percent or more, an answer was wrong, a request got none, a worker ended, or there are other
descriptors than at the start.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import itertools
import json
import os
import pathlib
import random
import shutil
import statistics
import sys
import tempfile
import time

import cellroute

from room import Room, homes, wait_for

POLICY = ("breaker: {consecutive_failures: 3, open: 0.5s, open_max: 1s, probes: 2}, in_flight: {per_cell: 100}, "
          "limits: [{per: KEY, kind: BUCKET, requests: 200, period: 1s}]")
LOCATION = ("cellroute key=$http_x_key; proxy_read_timeout 300ms; proxy_next_upstream error timeout; "
            "proxy_set_header V-Cell $cellroute_cell; proxy_pass http://cells;")
KEYS = [f"key-{i}" for i in range(5000)]
BEHAVIOURS = [""] * 40 + ["status=503", "status=404", "close", "cut", "stale", "sleep=0.01", "sleep=0.5"]


def memory(room: Room) -> int:
    """Of the workers together, in KiB, their own alone."""
    total = 0
    for pid in room.workers():
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))
    return total


def descriptors(room: Room) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in room.workers())


def right(answer: bytes, home: str, body: bytes) -> bool:
    seen = json.loads(answer)
    return bool(seen["cell"] == home and seen["size"] == len(body) and ["X-Cell-ID", home] in seen["headers"])


async def client(room: Room, end: float, told: collections.Counter[str], home: dict[str, str], seed: int) -> None:
    dice = random.Random(seed)
    while time.monotonic() < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        try:
            for _ in range(dice.randrange(1, 20)):
                key = dice.choice(KEYS)
                body = b"x" * dice.choice([0, 0, 0, 100, 20_000])
                writer.write(f"POST /?a=b HTTP/1.1\r\nHost: h\r\nX-Key: {key}\r\nX-Behave: {dice.choice(BEHAVIOURS)}\r\n"
                             f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                if dice.random() < 0.01:
                    told["left"] += 1
                    break
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
                told[head.split(b" ")[1].decode()] += 1
                if head.startswith(b"HTTP/1.1 503 "):
                    await asyncio.sleep(0.01)  # or most requests would be those that are refused at once
                fields: dict[bytes, bytes] = {}
                for line in head.split(b"\r\n")[1:-2]:
                    name, _, value = line.lower().partition(b": ")
                    fields[name] = value
                if b"content-length" not in fields or fields.get(b"connection") == b"close":
                    break
                answer = await reader.readexactly(int(fields[b"content-length"]))
                if head.startswith(b"HTTP/1.1 200 ") and not right(answer, home[key], body):
                    told["wrong"] += 1
        except asyncio.IncompleteReadError as error:
            told["cut" if error.partial or error.expected else "none"] += 1
        except (ConnectionError, asyncio.TimeoutError):
            told["none"] += 1
        finally:
            writer.close()


async def faults(room: Room, end: float) -> None:
    names = list(room.cells)
    while time.monotonic() < end - 2:
        for name in names:
            await asyncio.sleep(0.5)
            room.publish(POLICY)
            room.cells[name].kill()
            await asyncio.sleep(0.3)
            room.cells[name].start()


async def watch(room: Room, seconds: float) -> list[float]:
    """The median of each tenth of the time, in KiB."""
    begin = time.monotonic()
    tenths: list[list[int]] = [[] for _ in range(10)]
    for second in itertools.count(1):
        await asyncio.sleep(max(0.0, begin + second - time.monotonic()))
        tenth = int((time.monotonic() - begin) / seconds * 10)
        if tenth > 9:
            break
        tenths[tenth].append(memory(room))
    return [statistics.median(samples) for samples in tenths]


async def soak(room: Room, warm_up: float, seconds: float, told: collections.Counter[str], home: dict[str, str]) -> list[float]:
    end = time.monotonic() + warm_up + seconds
    tasks = [asyncio.create_task(client(room, end, told, home, seed)) for seed in range(16)]
    tasks.append(asyncio.create_task(faults(room, end)))
    await asyncio.sleep(warm_up)
    tenths = await watch(room, seconds)
    await asyncio.gather(*tasks)
    return tenths


def settled(room: Room, before: int) -> int:
    """The workers' descriptors without clients and cells, as soon as they are as few as `before`, or at last."""
    for cell in room.cells.values():
        cell.kill()
    try:
        wait_for(lambda: descriptors(room) <= before, "connections are closed")
    except AssertionError:
        pass
    return descriptors(room)


def run(folder: pathlib.Path, warm_up: float, seconds: float, most: float) -> int:
    room = Room(folder)
    told: collections.Counter[str] = collections.Counter()
    try:
        topology: cellroute.Topology = room.publish(POLICY)
        room.start(room.configure(LOCATION, workers=2, refresh="200ms"))
        workers = wait_for(lambda: (found := room.workers()) and len(found) == 2 and found, "the workers are there")
        time.sleep(1)
        before = descriptors(room)
        tenths = asyncio.run(soak(room, warm_up, seconds, told, homes(topology, KEYS)))
        after = settled(room, before)
        same = room.workers() == workers
    finally:
        room.stop()
    growth = tenths[9] / tenths[0] - 1
    wrong = told.pop("wrong", 0)
    print(f"{sum(told.values()):,} requests in {warm_up + seconds:.0f} s: {dict(sorted(told.items()))}; {wrong} wrong answers")
    print(f"KiB in each tenth: {[round(tenth) for tenth in tenths]}; growth {growth:.2%}; {room.generation} generations")
    print(f"{before} descriptors at the start, {after} at the end; {'the same' if same else 'other'} workers")
    return int(growth >= most / 100 or wrong > 0 or told["none"] > 0 or after != before or not same)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warm-up", type=float, default=300, help="seconds (300)")
    parser.add_argument("--seconds", type=float, default=600, help="at least 20, behind the warm-up (600)")
    parser.add_argument("--growth", type=float, default=1, help="percent that is too much (1)")
    given = parser.parse_args()
    place = pathlib.Path(tempfile.mkdtemp(prefix="soak-"))
    code = run(place, given.warm_up, given.seconds, given.growth)
    shutil.rmtree(place)
    sys.exit(code)
