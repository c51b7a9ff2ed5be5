"""The pytest plugin: fixtures for applications that use guestlist. See `docs/testing.md`.

It is loaded by every run of pytest where guestlist is installed; therefore nothing but pytest is
imported before a fixture is used.

    guests, async_guests      clients whose accounts are named after the installed providers
    guestlist_accounts        those accounts; override it to give them other names
    guestlist_clock           the time that clients and services have; nothing ever waits
    guestlist_sandbox         the running sandbox
    guestlist_accept          plays the invitee who accepts
    guestlist_invitee         an address to invite

A test that is marked `guestlist_cassette("name")` replays the exchanges that are recorded in
`cassettes/name.yaml`, beside the test. `--guestlist-record` records them, against the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from guestlist import AsyncGuestlist, Guestlist
    from guestlist.provider import Provider
    from guestlist.sandbox import Sandbox
    from guestlist.testing.clock import VirtualClock
    from guestlist.testing.stage import Stage

MARKER = "guestlist_cassette"
RECORD = "--guestlist-record"
LIVE = "--guestlist-live"

RECORDED_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""When recordings against the sandbox begin, so that recording again gives the same files."""

_stage = pytest.StashKey["Stage"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("guestlist")
    group.addoption(
        RECORD,
        action="store_true",
        help="record the cassettes of the chosen tests anew, against the sandbox",
    )
    group.addoption(
        LIVE,
        metavar="ADDRESS",
        help=f"with {RECORD}: record against the real services, with the credentials in the"
        " environment. ADDRESS is really invited, so it has to be yours",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(name=None, *, profiles=None, switches=None, live=True): replay the cassette of"
        " that name (by default the test's). profiles and switches are how the sandbox is set"
        " when it is recorded; live says whether real services can be recorded instead",
    )
    address = config.getoption(LIVE)
    if address is not None:
        if not config.getoption(RECORD):
            raise pytest.UsageError(f"{LIVE} goes with {RECORD}")
        with _in_one_line(pytest.UsageError):
            from guestlist.testing.stage import check_live

            check_live(address)


def pytest_itemcollected(item: pytest.Item) -> None:
    names = getattr(item, "fixturenames", None)
    if names is not None and item.get_closest_marker(MARKER) and "_guestlist_stage" not in names:
        names.insert(0, "_guestlist_stage")  # also where the test uses none of the fixtures


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    if not pyfuncitem.function.__module__.startswith(f"{__package__}.conformance."):
        return (yield)
    with nullcontext() if pyfuncitem.config.getoption("fulltrace") else pyfuncitem.cls.remarked():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    yield
    stage = item.stash.get(_stage, None)
    if stage is not None and stage.cassette is not None:
        with _in_one_line(_failure, AssertionError):
            stage.cassette.finish()


@contextmanager
def _in_one_line(
    error_of: Callable[[str], BaseException], *others: type[Exception]
) -> Iterator[None]:
    """Has pytest report the errors of guestlist, and missing extras, without a traceback."""
    from guestlist.errors import GuestlistError

    reported: tuple[type[Exception], ...] = (GuestlistError, *others)
    try:
        yield
        return
    except ImportError as error:
        text = f'{error.name or error} is missing: pip install "guestlist[testing]"'
    except reported as error:
        text = str(error)
    raise error_of(text) from None


def _failure(text: str) -> BaseException:
    return pytest.fail.Exception(text, pytrace=False)


# ---------------------------------------------------------------------------- what tests play on


@pytest.fixture(scope="session")
def _guestlist_sandboxes() -> Iterator[Callable[[datetime], Sandbox]]:
    """One sandbox for all tests; made fresh, at a moment, for each of them."""
    with _in_one_line(_failure):
        from guestlist.sandbox.server import Sandbox
        from guestlist.sandbox.services import service_classes

        kinds = service_classes()
    start = 0.0

    def fresh(moment: datetime) -> Sandbox:
        nonlocal start
        start = moment.timestamp()
        sandbox.reset()
        return sandbox

    with Sandbox(kinds, time_source=lambda: start) as sandbox:
        yield fresh


@pytest.fixture
def guestlist_start(request: pytest.FixtureRequest) -> datetime:
    """The moment at which the time of a test begins: the present one. Override it for another.

    A recording begins at a fixed moment, and a replay when its recording began.
    """
    if request.node.get_closest_marker(MARKER):
        return RECORDED_AT
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def guestlist_cassette_dir(request: pytest.FixtureRequest) -> Path:
    """The folder of the cassettes: `cassettes`, beside the test. Override it for another."""
    return request.path.parent / "cassettes"


@pytest.fixture
def _guestlist_stage(
    request: pytest.FixtureRequest, guestlist_start: datetime, guestlist_cassette_dir: Path
) -> Iterator[Stage]:
    with ExitStack() as stack:
        with _in_one_line(_failure):
            opened = _open(request, guestlist_start, guestlist_cassette_dir)
            stage = stack.enter_context(opened)
        request.node.stash[_stage] = stage
        yield stage


def _open(
    request: pytest.FixtureRequest, start: datetime, folder: Path
) -> AbstractContextManager[Stage]:
    from guestlist.testing import stage

    def sandbox() -> Sandbox:
        return cast("Sandbox", request.getfixturevalue("_guestlist_sandboxes")(start))

    mark = request.node.get_closest_marker(MARKER)
    if mark is None:
        return nullcontext(stage.on_sandbox(sandbox()))
    marked = _Marked(*mark.args, **mark.kwargs)
    name = marked.name or getattr(request.node, "originalname", request.node.name)
    path = folder / f"{name}.yaml"
    if not request.config.getoption(RECORD):
        return stage.replayed(path, start)
    address = request.config.getoption(LIVE)
    if address is None:
        return stage.recorded(path, sandbox(), marked.profiles, marked.switches)
    if marked.profiles or marked.switches or not marked.live:
        pytest.skip("only the sandbox can be brought to do this")
    return stage.recorded_live(path, address)


class _Marked:
    """What the marker says."""

    def __init__(
        self,
        name: str | None = None,
        *,
        profiles: Mapping[str, str] | None = None,
        switches: Mapping[str, Mapping[str, str]] | None = None,
        live: bool = True,
    ) -> None:
        self.name = name
        self.profiles = profiles or {}
        self.switches = switches or {}
        self.live = live


# ---------------------------------------------------------------------------- fixtures


@pytest.fixture
def guestlist_accounts(_guestlist_stage: Stage) -> dict[str, Provider]:
    """The accounts of `guests` and `async_guests`: one for each installed provider, with its name.

    Override it where the application knows its accounts by other names:

        @pytest.fixture
        def guestlist_accounts(guestlist_accounts):
            return {"cloud": guestlist_accounts["vultr"]}
    """
    return _guestlist_stage.accounts


@pytest.fixture(scope="session")
def _guestlist_transport() -> Any:
    from guestlist.testing.transports import sync_transport

    return sync_transport()


@pytest.fixture
def guests(
    request: pytest.FixtureRequest,
    guestlist_accounts: Mapping[str, Provider],
    _guestlist_stage: Stage,
) -> Iterator[Guestlist]:
    """A client on the sandbox, or on the cassette that the test is marked with."""
    from guestlist import Guestlist

    live = _guestlist_stage.live
    transport = None if live else request.getfixturevalue("_guestlist_transport")
    clock = _guestlist_stage.clock
    with Guestlist(guestlist_accounts, transport=transport, clock=clock) as guests:
        yield guests


@pytest.fixture
def async_guests(
    guestlist_accounts: Mapping[str, Provider], _guestlist_stage: Stage
) -> AsyncGuestlist:
    """The same for async tests, whichever plugin runs them. It need not be closed."""
    from guestlist import AsyncGuestlist
    from guestlist.testing.transports import async_transport

    transport = async_transport(live=_guestlist_stage.live)
    return AsyncGuestlist(guestlist_accounts, transport=transport, clock=_guestlist_stage.clock)


@pytest.fixture
def guestlist_clock(_guestlist_stage: Stage) -> VirtualClock:
    """The time of the clients and the sandbox. `guestlist_clock.advance` moves it; so does every
    pause that a client makes, at once."""
    from guestlist.testing.clock import VirtualClock

    if not isinstance(_guestlist_stage.clock, VirtualClock):
        pytest.skip("the time of real services cannot be moved")
    return _guestlist_stage.clock


@pytest.fixture
def guestlist_sandbox(_guestlist_stage: Stage) -> Sandbox:
    """The sandbox: fresh for each test, at the moment of `guestlist_start`."""
    if _guestlist_stage.sandbox is None or _guestlist_stage.cassette is not None:
        raise _failure(
            f"a test marked {MARKER} has no sandbox when it replays: play the invitee with"
            " guestlist_accept, set profiles and switches in the marker"
        )
    return _guestlist_stage.sandbox


@pytest.fixture
def guestlist_invitee(_guestlist_stage: Stage) -> str:
    """An address to invite. In a live recording it is the one that the command line names."""
    return _guestlist_stage.invitee


@pytest.fixture
def guestlist_accept(
    request: pytest.FixtureRequest, _guestlist_stage: Stage
) -> Callable[..., None]:
    """Plays the invitee: `guestlist_accept("ada@example.com")` accepts the newest invitation on
    every service that has one, `guestlist_accept("ada@example.com", service="vultr")` on one.

    In a live recording it asks whoever sits there to do it, and returns; use `guests.wait` then.
    """

    def accept(email: str, *, service: str | None = None) -> None:
        if _guestlist_stage.live:
            capture = request.config.pluginmanager.getplugin("capturemanager")
            with capture.global_and_fixture_disabled() if capture else nullcontext():
                print(f"\nPlease accept the invitation of {email}; this test waits for it.")
        _guestlist_stage.accept(email, service)

    return accept
