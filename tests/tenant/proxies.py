"""The real nginx and HAProxy as plain proxies on unix sockets, before a server that sends back what
reached it."""

from __future__ import annotations

import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time

TIMEOUT = 10

# Each server forwards in its own way: what came, or what it made of it.
NGINX = """
daemon off; master_process off; pid {room}/pid; error_log {room}/error.log crit;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {room}/a; proxy_temp_path {room}/b; fastcgi_temp_path {room}/c;
  uwsgi_temp_path {room}/d; scgi_temp_path {room}/e;
  large_client_header_buffers 4 16k;
  proxy_buffer_size 32k; proxy_buffers 4 32k;
  upstream cell {{ server unix:{cell}; }}
  server {{
    listen unix:{room}/nginx_raw;
    location / {{ proxy_pass http://cell; proxy_set_header Host $http_host; }}
  }}
  server {{
    listen unix:{room}/nginx_normalised;
    location / {{ proxy_pass http://cell/; proxy_set_header Host $host; }}
  }}
  server {{
    listen unix:{room}/nginx_lenient;
    underscores_in_headers on; ignore_invalid_headers off; merge_slashes off;
    location / {{ proxy_pass http://cell/; proxy_set_header Host $http_host; }}
  }}
}}
"""
HAPROXY = """
global
  expose-experimental-directives
  tune.bufsize 65536
defaults
  mode http
  timeout connect 10s
  timeout client 10s
  timeout server 10s
frontend raw
  bind unix@{room}/haproxy_raw
  default_backend cell
frontend lenient
  bind unix@{room}/haproxy_lenient
  option accept-invalid-http-request
  default_backend cell
frontend normalised
  bind unix@{room}/haproxy_normalised
  http-request normalize-uri path-merge-slashes
  http-request normalize-uri path-strip-dot
  http-request normalize-uri path-strip-dotdot
  http-request normalize-uri percent-decode-unreserved
  http-request normalize-uri fragment-strip
  default_backend cell
backend cell
  server cell unix@{cell}
"""
FRONTS = ("nginx_raw", "nginx_normalised", "nginx_lenient", "haproxy_raw", "haproxy_lenient",
          "haproxy_normalised")


def read_head(connection: socket.socket) -> bytes:
    """All bytes up to the empty line, or what came before the other end closed."""
    received = b""
    while b"\r\n\r\n" not in received:
        block = connection.recv(65536)
        if not block:
            break
        received += block
    return received


class Cell:
    """Answers each request with the bytes of its head."""

    def __init__(self, path: str) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(TIMEOUT)
                head = read_head(connection).split(b"\r\n\r\n")[0] + b"\r\n\r\n"
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Cell: yes\r\nConnection: close\r\n"
                                   b"Content-Length: %d\r\n\r\n" % len(head) + head)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


class Proxies:
    """Both proxies for the time of a `with`; FRONTS are their ways in."""

    def __enter__(self) -> Proxies:
        self._room = pathlib.Path(tempfile.mkdtemp(prefix="cr-"))
        cell = str(self._room / "cell")
        self._cell = Cell(cell)
        for name, text in (("nginx.conf", NGINX), ("haproxy.cfg", HAPROXY)):
            (self._room / name).write_text(text.format(room=self._room, cell=cell))
        nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx"
        haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/bin") or "haproxy"
        self._running = [
            subprocess.Popen([nginx, "-p", self._room, "-c", self._room / "nginx.conf"]),
            subprocess.Popen([haproxy, "-q", "-db", "-f", self._room / "haproxy.cfg"]),
        ]
        for front in FRONTS:
            self._wait(front)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(TIMEOUT)
        self._cell.close()
        shutil.rmtree(self._room)

    def _wait(self, front: str) -> None:
        end = time.monotonic() + 30
        while True:
            with socket.socket(socket.AF_UNIX) as connection:
                try:
                    return connection.connect(str(self._room / front))
                except OSError:
                    if time.monotonic() > end:
                        raise
            time.sleep(0.02)

    def forwarded(self, front: str, request: bytes) -> bytes | None:
        """What reaches the cell; None: the proxy answered itself, or closed the connection."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect(str(self._room / front))
            answer = b""
            try:
                connection.sendall(request)
                answer = read_head(connection)
            except (BrokenPipeError, ConnectionResetError):
                pass
            head, _, body = answer.partition(b"\r\n\r\n")
            if b"x-cell: yes" not in head.lower():
                return None
            length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                          if line.lower().startswith(b"content-length:"))
            while len(body) < length:
                block = connection.recv(65536)
                assert block, "the answer is cut"
                body += block
            return body
