"""nginx on loopback for as long as a block lasts, by a configuration with words between @ signs."""

from __future__ import annotations

import pathlib
import signal
import socket
import subprocess
import sys
from types import TracebackType
from typing import Mapping

from telling import PATIENCE_S, until

PROGRAM = "/usr/sbin/nginx"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Nginx:
    """Serves from start() to end(). All it writes is in `folder`, which its workers can enter."""

    def __init__(self, folder: pathlib.Path, configuration: pathlib.Path, words: Mapping[str, object] = {}) -> None:
        """@PORT@, @FOLDER@ and those of `words` are filled in."""
        self.port = free_port()
        self.folder = folder
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        text = configuration.read_text()
        for name, value in {"PORT": self.port, "FOLDER": folder, **words}.items():
            text = text.replace(f"@{name}@", str(value))
        (folder / "nginx.conf").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Nginx:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.end()

    def start(self) -> None:
        log = self.folder / "error.log"
        process = self._process = subprocess.Popen(
            [PROGRAM, "-e", log, "-p", self.folder, "-c", self.folder / "nginx.conf", "-g", "daemon off;"],
            stderr=subprocess.DEVNULL)
        until(lambda: process.poll() is not None or listens(self.port), "nginx listens")
        if process.poll() is not None:
            sys.exit(f"nginx does not start:\n{log.read_text()}")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """A second time does nothing."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE_S)
            self._process = None
