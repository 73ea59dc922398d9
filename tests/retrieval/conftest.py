"""A real PostgreSQL server, started from the installed programs for the tests that need one."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

START_LIMIT_S = 60


def server_program(name: str) -> str | None:
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(installed[-1]) if installed else None)


def unprivileged() -> str | None:
    """Return the user to run the server as: PostgreSQL refuses to run as root. None: the present one."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a server of our own, without a database name."""
    programs = [server_program(name) for name in ("initdb", "postgres")]
    if None in programs:
        pytest.skip("no postgres server program is installed")
    initdb, postgres = (str(program) for program in programs)
    user = unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="vouch-postgres-"))
    if user is not None:
        shutil.chown(folder, user)
    run_as = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    command = [
        initdb,
        "-D",
        str(folder / "data"),
        "-U",
        "vouch",
        "--auth=trust",
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C",
    ]
    subprocess.run(command, check=True, capture_output=True, cwd="/", **run_as)
    settings = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=30"]
    with (folder.parent / f"{folder.name}.log").open("wb") as output:
        server = subprocess.Popen(
            [postgres, "-D", str(folder / "data"), "-k", str(folder), *settings],
            stdout=output,
            stderr=output,
            cwd="/",
            **run_as,
        )
    try:
        url = f"postgresql://vouch@/{{name}}?host={folder}"
        wait_for(url.format(name="postgres"))
        yield url
    finally:
        server.terminate()
        server.wait(timeout=START_LIMIT_S)
        shutil.rmtree(folder, ignore_errors=True)
        Path(output.name).unlink(missing_ok=True)


def admin_engine(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1), isolation_level="AUTOCOMMIT")


def wait_for(url: str) -> None:
    engine = admin_engine(url)
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            engine.connect().close()
            break
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    engine.dispose()


@pytest.fixture(scope="session")
def new_database(postgres_server: str) -> Callable[[], str]:
    """Make an empty database and return its URL."""
    numbers = itertools.count()

    def make() -> str:
        name = f"vouch_{next(numbers)}"
        engine = admin_engine(postgres_server.format(name="postgres"))
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return postgres_server.format(name=name)

    return make
