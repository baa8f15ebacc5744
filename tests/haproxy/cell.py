"""A cell: a server of HTTP/1.1 that tells what reached it. Prints its port.

    cell.py ID [PORT]

Answers with JSON: the cell's id, method, target as it came, headers in order, body's length and hash, how many
requests it had at once. By path:
/status/503 answers with that status, /slow/300 after so many milliseconds, /late/300 so that its
body is late, /begun with half of its body, /hold when somebody asks for /release, /hang never, /close without
a word, /reset by TCP's RST, /echo with the request's body, /socket becomes a WebSocket that echoes.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import struct
import sys
from urllib.parse import urlsplit

NOW = {"busy": 0}
RELEASED = asyncio.Condition()


async def read_body(reader: asyncio.StreamReader, headers: list[tuple[str, str]]) -> bytes:
    names = {name.lower(): value for name, value in headers}
    if "chunked" in names.get("transfer-encoding", ""):
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        while (await reader.readline()).strip():
            pass
        return body
    return await reader.readexactly(int(names.get("content-length", "0")))


def accept_of(key: str) -> str:
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    return base64.b64encode(digest).decode()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
    writer.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 f"Sec-WebSocket-Accept: {accept_of(key)}\r\n\r\n".encode())
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def serve_one(name: str, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the connection stays."""
    line, *rest = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ")
    headers = [(name, value) for name, _, value in (field.partition(": ") for field in rest if field)]
    path = urlsplit(target).path
    if path == "/socket":
        await echo(reader, writer, dict((n.lower(), v) for n, v in headers)["sec-websocket-key"])
        return False
    body = await read_body(reader, headers)
    if path == "/close":
        return False
    if path == "/reset":
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
    if path == "/hang":
        await reader.read()
        return False
    NOW["busy"] += 1
    busy = NOW["busy"]
    if path == "/hold":
        async with RELEASED:
            await RELEASED.wait()
    if path == "/release":
        async with RELEASED:
            RELEASED.notify_all()
    if path.startswith("/slow/"):
        await asyncio.sleep(int(path[6:]) / 1000)
    NOW["busy"] -= 1
    status = int(path[8:]) if path.startswith("/status/") else 200
    told = json.dumps({"cell": name, "method": method, "target": target, "headers": headers, "body": len(body),
                       "sha": hashlib.sha256(body).hexdigest(), "busy": busy}).encode()
    if path == "/echo":
        told = body
    writer.write(f"HTTP/1.1 {status} Told\r\nContent-Length: {len(told)}\r\nX-Told: {name}\r\n"
                 f"X-Method: {method}\r\n\r\n".encode())
    if path == "/begun":
        writer.write(told[:len(told) // 2])
        await reader.read()
        return False
    if path.startswith("/late/"):
        await writer.drain()
        await asyncio.sleep(int(path[6:]) / 1000)
    writer.write(b"" if method == "HEAD" else told)
    await writer.drain()
    return True


async def serve(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await serve_one(name, (await reader.readuntil(b"\r\n\r\n"))[:-4], reader, writer):
            pass
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    name, port = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    server = await asyncio.start_server(lambda r, w: serve(name, r, w), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
