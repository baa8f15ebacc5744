"""A client of HTTP/2 over TLS, which has many streams in one connection and can leave any of them half-way."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import socket
import ssl
from typing import Any

import h2.config  # type: ignore[import]
import h2.connection  # type: ignore[import]
import h2.events  # type: ignore[import]

from room import LONG


@dataclasses.dataclass
class Stream:
    """What came of it, and what is still to be sent."""

    unsent: bytes = b""
    body: bytes = b""
    status: int = 0
    fields: dict[str, str] = dataclasses.field(default_factory=dict)
    ends: bool = True  # with the last of `unsent`
    ended: bool = False
    reset: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One to localhost, whose certificate is verified."""

    def __init__(self, port: int, certificate: pathlib.Path) -> None:
        context = ssl.create_default_context(cafile=str(certificate))
        context.set_alpn_protocols(["h2", "http/1.1"])
        plain = socket.create_connection(("127.0.0.1", port), LONG)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        self.protocol = self.socket.selected_alpn_protocol()
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.state.initiate_connection()
        self.streams: dict[int, Stream] = {}
        self.flush()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, key: str, target: str = "/", method: str = "GET", body: bytes = b"", ends: bool = True,
             **fields: str) -> int:
        """Begins a stream; `fields` by names with '_' for '-'. The number by which it is asked for."""
        number: int = self.state.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", target), ("x-key", key)]
        head += [(name.lower().replace("_", "-"), value) for name, value in fields.items()]
        self.state.send_headers(number, head, end_stream=ends and not body)
        self.streams[number] = Stream(unsent=body, ends=ends)
        self.flush()
        return number

    def leave(self, number: int) -> None:
        """RST_STREAM with CANCEL."""
        self.state.reset_stream(number, error_code=8)
        self.streams[number].reset = True
        self.flush()

    def flush(self) -> None:
        """Sends what the windows have room for, a frame of each stream in turn."""
        more = True
        while more:
            more = False
            for number, stream in self.streams.items():
                if not stream.unsent or stream.reset:
                    continue
                room = min(self.state.local_flow_control_window(number), self.state.max_outbound_frame_size)
                piece, stream.unsent = stream.unsent[:room], stream.unsent[room:]
                if piece:
                    self.state.send_data(number, piece, end_stream=stream.ends and not stream.unsent)
                    more = more or bool(stream.unsent)
        self.socket.sendall(self.state.data_to_send())

    def receive(self) -> None:
        """Takes what comes next."""
        data = self.socket.recv(65536)
        assert data, "nginx closed the connection"
        for event in self.state.receive_data(data):
            stream = self.streams.get(getattr(event, "stream_id", 0) or 0)
            if stream is None:
                continue
            if isinstance(event, h2.events.ResponseReceived):
                stream.fields = dict(event.headers)
                stream.status = int(stream.fields[":status"])
            elif isinstance(event, h2.events.DataReceived):
                stream.body += event.data
                self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                stream.ended = True
            elif isinstance(event, h2.events.StreamReset):
                stream.reset = True
        self.flush()

    def answer(self, number: int) -> Stream:
        stream = self.streams[number]
        while not stream.ended:
            assert not stream.reset, f"stream {number} was reset"
            self.receive()
        return stream

    def ask(self, key: str, target: str = "/", method: str = "GET", body: bytes = b"", **fields: str) -> Stream:
        return self.answer(self.send(key, target, method, body, True, **fields))
