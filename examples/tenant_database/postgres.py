"""A PostgreSQL server for as long as a block lasts, on a Unix socket that nobody else reaches."""

from __future__ import annotations

import os
import pathlib
import pwd
import signal
import subprocess
import time
from types import TracebackType
from typing import Any

import psycopg2  # type: ignore[import]

BINARIES = pathlib.Path("/usr/lib/postgresql/15/bin")
SUPERUSER = "postgres"
SETTINGS = {
    "listen_addresses": "", "unix_socket_permissions": "0700", "max_connections": "60",
    "shared_buffers": "16MB", "fsync": "off",  # what it holds is thrown away
    "log_min_messages": "fatal", "log_checkpoints": "off",
}


def account() -> dict[str, Any]:
    """As whom the server runs: it refuses to run as root, for whom Debian's package made a user."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def own_directory(directory: pathlib.Path) -> None:
    """Gives `directory` to the server's account, which must get there."""
    given = account()
    if given:
        os.chown(directory, given["user"], given["group"])


def make_empty(data: pathlib.Path, password: str) -> pathlib.Path:
    """The data of a server that holds nothing, to be copied: making it takes a second or two."""
    secret = data.with_suffix(".password")
    secret.write_text(password)
    own_directory(secret)
    subprocess.run(
        [BINARIES / "initdb", f"--pgdata={data}", f"--username={SUPERUSER}", f"--pwfile={secret}",
         "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"],
        check=True, stdout=subprocess.DEVNULL, cwd=data.parent, **account())
    secret.unlink()
    return data


class PostgresServer:
    """Made in `directory`, which holds its data and its socket. start() and kill() as often as wanted."""

    def __init__(self, directory: pathlib.Path, password: str, empty: pathlib.Path) -> None:
        """`empty` is what make_empty() made with this password."""
        self.directory = directory
        self._data = directory / "data"
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(mode=0o700)
        own_directory(directory)
        subprocess.run(["cp", "-a", empty, self._data], check=True)

    @property
    def endpoint(self) -> str:
        return f"unix:{self.directory}"

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._end(signal.SIGINT)

    def start(self) -> None:
        options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                [BINARIES / "postgres", "-D", self._data, "-k", self.directory, *options],
                stdout=log, stderr=log, cwd=self.directory, **account())
        deadline = time.monotonic() + 60
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self.connect("postgres").close()
                return
            except psycopg2.OperationalError:
                time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL does not start: {(self.directory / 'log').read_text()}")

    def kill(self) -> None:
        """All connections break, as if the machine were gone."""
        self._end(signal.SIGQUIT)

    def connect(self, database: str) -> Any:
        """As the superuser, who is bound by no row policy: for provisioning alone."""
        return psycopg2.connect(
            host=str(self.directory), dbname=database, user=SUPERUSER, password=self._password, connect_timeout=5)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None
