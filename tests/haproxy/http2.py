"""A connection of HTTP/2 over TLS, whose streams a test begins, feeds, resets and reads as it likes."""

from __future__ import annotations

import pathlib
import socket
import ssl
import subprocess

import h2.connection  # type: ignore[import]
import h2.events  # type: ignore[import]
from h2.errors import ErrorCodes  # type: ignore[import]

from room import Answer


def make_certificate(folder: pathlib.Path) -> pathlib.Path:
    """A key and the certificate that it signed for localhost, in one file as HAProxy wants them."""
    pem = folder / "localhost.pem"
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                           "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "-"],
                          check=True, capture_output=True)
    pem.write_bytes(made.stdout)
    return pem


class Http2:
    def __init__(self, port: int, certificate: pathlib.Path) -> None:
        context = ssl.create_default_context(cafile=str(certificate))
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=20),
                                          server_hostname="localhost")
        assert self.socket.selected_alpn_protocol() == "h2"
        self.state = h2.connection.H2Connection()
        self.state.initiate_connection()
        self.answers: dict[int, Answer] = {}
        self.ended: set[int] = set()
        self.resets: set[int] = set()  # by HAProxy

    def begin(self, tenant: str, target: str = "/", *headers: tuple[str, str], method: str = "GET", end: bool = True) -> int:
        """The number of a new stream; without `end` a body is to follow."""
        stream = int(self.state.get_next_available_stream_id())
        self.state.send_headers(stream, [(":method", method), (":scheme", "https"), (":authority", "localhost"),
                                         (":path", target), ("x-tenant-id", tenant), *headers], end_stream=end)
        self._send()
        return stream

    def feed(self, stream: int, body: bytes, end: bool = True) -> None:
        """Sends as much at once as HAProxy has room for."""
        while body:
            room = min(self.state.local_flow_control_window(stream), self.state.max_outbound_frame_size)
            if room == 0:
                self._receive()
                continue
            self.state.send_data(stream, body[:room])
            self._send()
            body = body[room:]
        if end:
            self.state.end_stream(stream)
            self._send()

    def ask(self, tenant: str, target: str = "/", *headers: tuple[str, str], method: str = "GET", body: bytes = b"") -> Answer:
        stream = self.begin(tenant, target, *headers, method=method, end=not body)
        if body:
            self.feed(stream, body)
        return self.answer(stream)

    def reset(self, stream: int) -> None:
        self.state.reset_stream(stream, ErrorCodes.CANCEL)
        self._send()

    def answer(self, stream: int) -> Answer:
        while stream not in self.ended:
            if stream in self.resets:
                raise ConnectionError(f"stream {stream} was reset")
            self._receive()
        return self.answers[stream]

    def wait_for_part(self, stream: int) -> None:
        """Until there is some of the answer."""
        while stream not in self.answers:
            self._receive()

    def close(self) -> None:
        self.socket.close()

    def _send(self) -> None:
        self.socket.sendall(self.state.data_to_send())

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed")
        for event in self.state.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                (_, status), *headers = [(name.decode(), value.decode()) for name, value in event.headers]
                self.answers[event.stream_id] = Answer(int(status), headers, b"")
            elif isinstance(event, h2.events.DataReceived):
                self.answers[event.stream_id].body += event.data
                self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, h2.events.StreamReset) and event.remote_reset:
                self.resets.add(event.stream_id)
            elif isinstance(event, h2.events.ConnectionTerminated):
                raise ConnectionError(str(event))
        self._send()
