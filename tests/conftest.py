"""What all tests share."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import none
from tests import postgres

# A property does not depend on the machine's speed, so an example may take any time. Half of the
# usual number of examples finds the same mistakes: each property is broken by many of them.
settings.register_profile(
    "any-speed",
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any-speed")

# The tests start hundreds of processes. Each would compile everything that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Thousands of tests write ledgers, and each commit waits for the disk. A RAM disk does not wait.
RAM_DISK = Path("/dev/shm")  # noqa: S108 (only a place for pytest's own folders)
RAM_BYTES = 2**30
if RAM_DISK.is_dir() and shutil.disk_usage(RAM_DISK).free > RAM_BYTES:
    os.environ["TMPDIR"] = str(RAM_DISK)
    tempfile.tempdir = None  # pytest has read the variable already


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Lets signals end the programs that tests start. They inherit ignored signals: a shell starts
    its background jobs with SIGINT ignored, and `nohup` ignores SIGHUP."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Lets HTTPS clients trust only an authority made for the tests. Each client would otherwise
    load all public ones, which takes longer than most tests, and no test calls a public service. A
    test that starts a program that downloads something uses `tests.downloads.environment`."""
    file = tmp_path_factory.mktemp("authority") / "authority.pem"
    trustme.CA().cert_pem.write_to_path(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.Server]:
    """One server for all tests of a process, each of which makes a database of its own on it."""
    if missing := postgres.missing():
        pytest.skip(missing)
    with postgres.running() as server:
        yield server


@pytest.hookimpl(optionalhook=True)  # xdist may be left out, as for mutants
def pytest_xdist_auto_num_workers() -> int:
    """One more worker than there are processors: many tests wait for other processes."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with what takes long, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@settings(max_examples=1, database=None)
@given(none())
def _first_example(_: None) -> None:
    """Lets hypothesis make its random numbers. Later it would not find them: see `gc.freeze`."""


def pytest_collection_finish() -> None:
    """Exempts what was collected from garbage collection. There are millions of objects, and every
    run of pytest within a test collects garbage five times at its end."""
    _first_example()
    gc.freeze()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Exempts what the tests of a file have left, such as loaded modules. Many tests collect
    garbage to find connections that were left open, which would take longer with every file."""
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()
