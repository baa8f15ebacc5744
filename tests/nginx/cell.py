#!/usr/bin/python3
"""A cell: answers every request with what it was sent, as JSON, and does what `X-Behave` says.

    cell.py NAME PORT

X-Behave: status=503, sleep=0.2, together=8 (waits until so many were there at once), fill=9000 (as many bytes more in the
answer), close (without an answer), stale (the same, where the connection is not new), cut (in the middle of an answer).
`Upgrade: websocket` gives a socket that sends back what it gets. GET /counts gives how many requests came, by method and by
X-Count, the most at once, and those that named another cell. Port 0 is any that is free; the one that is taken is printed.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import hashlib
import json
import sys

COUNTS: collections.Counter[str] = collections.Counter()
name = "cell"
at_once = 0


def answer(status: int, body: bytes, kind: str = "application/json") -> bytes:
    return (f"HTTP/1.1 {status} Any\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body
    return await reader.readexactly(int(headers.get("content-length", "0")))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    writer.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n\r\n".encode())
    while data := await reader.read(4096):
        writer.write(name.encode() + b":" + data)
        await writer.drain()


async def behave(behaviours: str, old: bool, what: bytes, writer: asyncio.StreamWriter) -> int:
    """The status to answer with; 0: the connection ends."""
    status = 200
    for behaviour in behaviours.split(","):
        kind, _, value = behaviour.partition("=")
        if kind == "status":
            status = int(value)
        elif kind == "sleep":
            await asyncio.sleep(float(value))
        elif kind == "together":
            while COUNTS["most"] < int(value):
                await asyncio.sleep(0.01)
        elif kind == "close" or kind == "stale" and old:
            return 0
        elif kind == "cut":
            writer.write(answer(200, what)[:-10])
            return 0
    return status


async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, old: bool) -> bool:
    global at_once
    line = (await reader.readuntil(b"\r\n")).decode("latin-1").rstrip("\r\n")
    method, target, _ = line.split(" ")
    pairs = []
    while (raw := (await reader.readuntil(b"\r\n")).decode("latin-1").rstrip("\r\n")):
        field, _, value = raw.partition(":")
        pairs.append((field, value.strip()))
    headers = {field.lower(): value for field, value in pairs}
    body = await read_body(reader, headers)
    if target == "/counts":
        writer.write(answer(200, json.dumps(COUNTS).encode()))
        return True
    COUNTS["all"] += 1
    COUNTS["misled"] += headers.get("x-cell-id") != name
    COUNTS[method] += 1
    COUNTS[headers.get("x-count", "none")] += 1
    if headers.get("upgrade") == "websocket":
        await echo(reader, writer, headers.get("sec-websocket-key", ""))
        return False
    behaviours = headers.get("x-behave", "")
    what = json.dumps({
        "cell": name, "method": method, "target": target, "headers": pairs, "size": len(body),
        "digest": hashlib.sha256(body).hexdigest()}).encode()
    if "fill=" in behaviours:
        what += b" " * int(behaviours.partition("fill=")[2].partition(",")[0])
    at_once += 1
    COUNTS["most"] = max(COUNTS["most"], at_once)
    try:
        status = await behave(behaviours, old, what, writer)
    finally:
        at_once -= 1
    if status == 0:
        return False
    writer.write(answer(status, b"" if method == "HEAD" else what))
    await writer.drain()
    return True


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        old = False
        while await serve_one(reader, writer, old):
            old = True
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    name = sys.argv[1]
    asyncio.run(main(int(sys.argv[2])))
