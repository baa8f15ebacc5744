#!/usr/bin/python3
"""nginx at load with faults: cells that die and come back, clients that go, new topologies; its memory must not grow.

    PYTHONPATH=bindings/python CELLROUTE_LIBRARY=build/lib/libcellroute.so LD_LIBRARY_PATH=build/lib \\
      CELLROUTE_NGINX_MODULE=build/nginx/ngx_http_cellroute_module.so tests/nginx/soak.py [--seconds 600]

Prints the workers' memory at each tenth of the time and exits 1 where it grew by 1 % or more between the second tenth, when
pools and caches have filled, and the last, or where a request got no answer.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import pathlib
import random
import shutil
import sys
import tempfile
import time

from room import Room

POLICY = ("breaker: {consecutive_failures: 3, open: 0.5s, open_max: 1s, probes: 2}, in_flight: {per_cell: 100}, "
          "limits: [{per: KEY, kind: BUCKET, requests: 200, period: 1s}]")
LOCATION = ("cellroute key=$http_x_key; proxy_read_timeout 300ms; proxy_next_upstream error timeout; "
            "proxy_set_header V-Cell $cellroute_cell; proxy_pass http://cells;")
BEHAVIOURS = [""] * 40 + ["status=503", "status=404", "close", "cut", "stale", "sleep=0.01", "sleep=0.5"]


def memory(room: Room) -> int:
    """Of the workers together, in KiB, their own alone."""
    total = 0
    for pid in room.workers():
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))
    return total


async def client(room: Room, end: float, told: collections.Counter[str], seed: int) -> None:
    dice = random.Random(seed)
    while time.monotonic() < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        try:
            for _ in range(dice.randrange(1, 20)):
                key = f"key-{dice.randrange(5000)}"
                body = b"x" * dice.choice([0, 0, 0, 100, 20_000])
                writer.write(f"POST /?a=b HTTP/1.1\r\nHost: h\r\nX-Key: {key}\r\nX-Behave: {dice.choice(BEHAVIOURS)}\r\n"
                             f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                if dice.random() < 0.01:
                    told["left"] += 1
                    break
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
                told[head.split(b" ")[1].decode()] += 1
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                if b"content-length" not in fields or fields.get(b"connection") == b"close":
                    break
                await reader.readexactly(int(fields[b"content-length"]))
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


async def soak(room: Room, seconds: float, told: collections.Counter[str]) -> list[int]:
    begin = time.monotonic()
    tasks = [asyncio.create_task(client(room, begin + seconds, told, seed)) for seed in range(16)]
    tasks.append(asyncio.create_task(faults(room, begin + seconds)))
    marks = []
    for tenth in range(1, 11):
        await asyncio.sleep(max(0.0, begin + seconds * tenth / 10 - time.monotonic()))
        marks.append(memory(room))
    await asyncio.gather(*tasks)
    return marks


def run(folder: pathlib.Path, seconds: float) -> int:
    room = Room(folder)
    told: collections.Counter[str] = collections.Counter()
    try:
        room.publish(POLICY)
        room.start(room.configure(LOCATION, workers=2, refresh="200ms"))
        marks = asyncio.run(soak(room, seconds, told))
    finally:
        room.stop()
    growth = marks[-1] / marks[1] - 1
    print(f"{sum(told.values()):,} requests in {seconds:.0f} s: {dict(sorted(told.items()))}")
    print(f"KiB at each tenth: {marks}; growth {growth:.2%}; {room.generation} generations")
    return int(growth >= 0.01 or told["none"] > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    given = parser.parse_args()
    place = pathlib.Path(tempfile.mkdtemp(prefix="soak-"))
    code = run(place, given.seconds)
    shutil.rmtree(place)
    sys.exit(code)
