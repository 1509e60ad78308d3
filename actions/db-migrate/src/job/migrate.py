"""Runs Alembic beside the application, and tells what happens in lines of JSON.

The program is handed to the image's Python as text, with one argument: what to do, as JSON. It
goes through the application's own `env.py`, so drivers, schemas and hooks are the application's.
Lines that start with the marker are for the action; everything else is a log for people.
"""

import hashlib
import io
import json
import socket
import sys
import time
import traceback
from pathlib import Path

MARKER = "@db-migrate "
# What a person can still read; the digest covers all of it.
SHOWN_SQL = 20_000
# SQLSTATEs of a server that is starting, full, not yet set up, or the read-only end of a switch.
NOT_YET = {"57P01", "57P02", "57P03", "53300", "3D000", "28000", "28P01", "25006"}

# SQLSTATEs of a table of revisions that another run is making in this moment.
JUST_MADE = {"55P03", "42P07", "23505"}


class LockedError(Exception):
    """Another session migrates this database."""


class ChangedError(Exception):
    """The database is not where it was when the plan was made."""


class State:
    """What is known when something fails."""

    def __init__(self):
        self.connected = False
        self.before = None
        self.running = None
        self.done = []


def emit(event, **fields):
    print(MARKER + json.dumps({"event": event, **fields}), file=sys.__stdout__, flush=True)


def chain(error):
    """Gives an error and its causes, the drivers' own among them."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        error = getattr(error, "orig", None) or error.__cause__ or error.__context__
    return seen


def sqlstate(error):
    for each in chain(error):
        code = getattr(each, "sqlstate", None) or getattr(each, "pgcode", None)
        if isinstance(code, str):
            return code
    return None


def unreachable(error):
    code = sqlstate(error)
    if code is not None:
        return code in NOT_YET or code.startswith("08")
    network = (ConnectionError, TimeoutError, socket.gaierror)
    names = {"OperationalError", "InterfaceError"}
    return any(isinstance(each, network) or type(each).__name__ in names for each in chain(error))


def words(error):
    """Gives the error closest to the database in one line."""
    errors = chain(error)
    # SQLAlchemy wraps what the driver says.
    said = [each for each in errors if getattr(each, "sqlstate", None)]
    closest = said[-1] if said else errors[0]
    text = str(closest).strip().split("\n[SQL:")[0]
    return f"{type(closest).__name__}: {' '.join(text.split())}" if text else type(closest).__name__


def statement(error):
    text = next((each.statement for each in chain(error) if getattr(each, "statement", None)), None)
    return text.strip()[:2000] if isinstance(text, str) else None


def place(error, folder):
    """Gives file and line of the migration that failed."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if folder in path.parents:
            shown = path.relative_to(Path.cwd()) if Path.cwd() in path.parents else path
            return str(shown), frame.lineno
    return None, None


def lock_key(schema, table):
    """Gives the number of the lock that guards a table of revisions."""
    name = f"{schema or ''}.{table}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big", signed=True)


def lock(context):
    """Takes the database's lock for migrations; it ends with the session, however that ends."""
    if context.dialect.name != "postgresql":
        return
    key = lock_key(context.version_table_schema, context.version_table)
    taken = context.connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({key})").scalar()
    if not taken:
        raise LockedError("another session holds the database's lock for migrations")


class Migrator:
    """Alembic on the application's scripts."""

    def __init__(self, order):
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        self.order = order
        self.sql = io.StringIO()
        self.config = Config(order["config"], output_buffer=self.sql)
        self.script = ScriptDirectory.from_config(self.config)
        self.versions = Path(self.script.dir).resolve()
        self.state = State()

    def run(self, function, **options):
        """Runs `env.py`; waits for a database that cannot be reached yet."""
        from alembic.runtime.environment import EnvironmentContext

        deadline = time.monotonic() + self.order["wait"]
        said = None
        while True:
            self.state.connected = False
            try:
                with EnvironmentContext(self.config, self.script, fn=function, **options):
                    self.script.run_env()
                return
            except Exception as error:
                late = time.monotonic() > deadline
                if self.state.connected or late or not unreachable(error):
                    raise
                if said != words(error):
                    said = words(error)
                    emit("waiting", error=said)
                time.sleep(1)

    def current(self, locking=False):
        """Asks where the database stands; with `locking`, whether it may be migrated now."""
        found = []

        def look(heads, context):
            self.state.connected = True
            found.extend(heads)
            if locking:
                lock(context)
            return []

        self.run(look, dont_mutate=True)
        return sorted(found)

    def steps(self, heads):
        # What `alembic upgrade` itself calls; there is no public name for it.
        return list(self.script._upgrade_revs(self.order["target"], tuple(heads)))

    def pending(self, heads):
        statements = self.statements(heads)
        return [
            {
                "revision": step.revision.revision,
                "message": (step.revision.doc or "").strip(),
                **statements.get(step.revision.revision, {"sql": None, "sha256": None}),
            }
            for step in self.steps(heads)
        ]

    def statements(self, heads):
        """Asks for the SQL of each step; a migration that has to look at data has none."""
        marks = []

        def offline(_, context):
            for step in self.steps(heads):
                marks.append((step.revision.revision, self.sql.tell()))
                yield step

        if len(heads) > 1 or not self.steps(heads):
            return {}
        try:
            self.run(
                offline, as_sql=True,
                starting_rev=heads[0] if heads else None, destination_rev=self.order["target"],
            )  # fmt: skip
        except (Exception, SystemExit) as error:
            emit("note", text=f"no SQL can be shown: {words(error)}")
            return {}
        text = self.sql.getvalue()
        ends = [start for _, start in marks[1:]] + [len(text)]
        shown = {}
        for (revision, start), end in zip(marks, ends, strict=True):
            part = text[start:end].strip()
            shown[revision] = {
                "sql": part[:SHOWN_SQL],
                "sha256": hashlib.sha256(part.encode()).hexdigest(),
            }
        return shown

    def observe(self):
        heads = self.current()
        self.state.before = heads
        self.known(heads)
        emit("result", kind="ok", before=heads, pending=self.pending(heads))

    def known(self, heads):
        from alembic.util import CommandError

        for head in heads:
            try:
                found = self.script.get_revision(head)
            except CommandError:
                found = None
            if found is None:
                raise UnknownRevisionError(head)

    def apply(self):
        # Alembic makes its table before it calls `upgrade`, and would wait there for another run
        # that has just made it.
        self.state.before = self.current(locking=True)
        self.known(self.state.before)

        def upgrade(heads, context):
            state = self.state
            state.connected = True
            lock(context)
            # Somebody may have been here between the plan and the lock.
            heads = context.get_current_heads()
            state.before = sorted(heads)
            if state.before != sorted(self.order["expected"]):
                raise ChangedError(", ".join(state.before) or "base")
            for step in self.steps(heads):
                state.running = step.revision.revision
                emit("running", revision=state.running, message=(step.revision.doc or "").strip())
                started = time.monotonic()
                yield step
                milliseconds = round((time.monotonic() - started) * 1000)
                emit("ran", revision=state.running, milliseconds=milliseconds)
                state.done.append(state.running)
                state.running = None

        self.run(upgrade)
        after = self.current()
        emit("result", kind="ok", before=self.state.before, after=after, applied=self.state.done)

    def failed(self, error):
        """Tells what failed and, from the database itself, what came of it."""
        state = self.state
        kind = self.kind(error)
        result = {"kind": kind, "error": words(error), "before": state.before}
        if kind == "migration":
            file, line = place(error, self.versions)
            after = self.after()
            result |= {
                "revision": state.running, "statement": statement(error), "file": file,
                "line": line, "after": after, "applied": self.applied(after),
            }  # fmt: skip
        if kind in {"migration", "environment"} and sqlstate(error) is None:
            traceback.print_exception(error)
        emit("result", **result)

    def kind(self, error):
        from alembic.util import CommandError

        names = {LockedError: "locked", ChangedError: "changed", UnknownRevisionError: "unknown"}
        if type(error) in names:
            return names[type(error)]
        if self.state.running is not None:
            return "migration"
        if isinstance(error, CommandError):
            return "target"
        if self.order["operation"] == "apply" and sqlstate(error) in JUST_MADE:
            return "locked"
        if not self.state.connected and unreachable(error):
            return "unreachable"
        return "environment"

    def after(self):
        try:
            return self.current()
        except (Exception, SystemExit) as error:
            emit("note", text=f"the revision cannot be read any more: {words(error)}")
            return None

    def applied(self, after):
        """Gives what has stayed: a transaction around all steps takes back those that ran."""
        if after is None or after == self.state.before:
            return []
        upper, lower = tuple(after), tuple(self.state.before) or "base"
        reached = {each.revision for each in self.script.iterate_revisions(upper, lower)}
        return [each for each in self.state.done if each in reached]


class UnknownRevisionError(Exception):
    """The database is at a revision that the image does not have."""


def main():
    order = json.loads(sys.argv[1])
    # `python -c` starts with this entry already; Alembic's own program does it as well.
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        import alembic  # noqa: F401
    except ImportError as error:
        emit("result", kind="no-alembic", error=words(error), before=None)
        return 1
    if not Path(order["config"]).is_file():
        where = Path.cwd() / order["config"]
        emit("result", kind="no-config", error=str(where), before=None)
        return 1
    try:
        migrator = Migrator(order)
    except (Exception, SystemExit) as error:
        emit("result", kind="environment", error=words(error), before=None)
        return 1
    try:
        migrator.observe() if order["operation"] == "observe" else migrator.apply()
    except (Exception, SystemExit) as error:
        migrator.failed(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
