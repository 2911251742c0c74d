"""A PostgreSQL server of a test's own, in a folder of its own, for as long as a `with` lasts."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest

__all__ = ["Server", "find_programs"]


def find_programs() -> Path:
    """Folder of initdb and pg_ctl; the test is skipped without them, or without a driver."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    on_path = shutil.which("initdb")
    places = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = [place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()]
    if not found:
        pytest.skip("no PostgreSQL server on this machine (apt-get install postgresql)")
    return found[-1]


def nobody() -> str | None:
    """Whom a server is run by: PostgreSQL refuses root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def _status(number: int) -> list[str]:
    """State, parent and so on of a process; nothing of one that is gone."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def _alive(number: int) -> bool:
    return _status(number)[:1] not in ([], ["Z"])


class Server:
    """Listens on a port of the loopback; everyone who comes from there is let in, whatever the password."""

    def __init__(self, programs: Path) -> None:
        self._programs, self._user = programs, nobody()
        self.folder = Path(tempfile.mkdtemp(prefix="riskoverlay-postgres-"))
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        """Of its database, with a password."""
        return f"postgresql://tester:secret@127.0.0.1:{self.port}/postgres"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "-D", str(self.folder / "data"), *arguments]
        # Its own files for what it says: a server that goes on would hold a pipe open.
        with (self.folder / "said").open("ab") as said:
            subprocess.run(command, check=True, user=self._user, cwd=self.folder, stdout=said, stderr=said, timeout=60)

    def start(self) -> None:
        """Let it answer."""
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "start", "-w", "-o", settings, "-l", str(self.folder / "log"))

    def kill(self) -> None:
        """Kill the server and whatever serves for it."""
        parent = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        everyone = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        children = [number for number in everyone if _status(number)[1:2] == [str(parent)]]
        for number in (parent, *children):
            with suppress(ProcessLookupError):  # whoever saw the parent's death, or its client's, went by itself
                os.kill(number, signal.SIGKILL)
        for number in (parent, *children):
            while _alive(number):
                time.sleep(0.01)
        # Where nobody buries the dead, the next server would take this one for alive.
        (self.folder / "data" / "postmaster.pid").unlink()

    def execute(self, statement: str) -> list[Any]:
        """Rows of a statement."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def __enter__(self) -> Self:
        self._run("initdb", "-U", "tester", "--auth=trust", "--no-sync", "-E", "UTF8", "--no-locale")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():
            with suppress(subprocess.CalledProcessError):  # it was killed
                self._run("pg_ctl", "stop", "-m", "immediate", "-w")
        shutil.rmtree(self.folder, ignore_errors=True)
