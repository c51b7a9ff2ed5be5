"""The pytest plugin: fixtures for applications that use guestlist. See `docs/testing.md`.

Every run of pytest loads it where pytest-guestlist is installed. Therefore it imports nothing but
pytest before a fixture is used.

    guestlist_client          a client whose accounts are named after the installed providers
    guestlist_async_client    the same for async tests
    guestlist_accounts        their accounts; override it to give them other names
    guestlist_clock           the time of clients and services; nothing ever waits
    guestlist_sandbox         the running sandbox
    guestlist_accept          accepts an invitation, as the invitee would
    guestlist_invitee         an address to invite
    guestlist_module          all of these, for the tests of one module
    guestlist_session         all of these, for all tests of the session

A test that is marked `guestlist_cassette("name")` replays the exchanges that are recorded in
`cassettes/name.yaml`, beside the test. `--guestlist-record` records them, against the sandbox.
`--guestlist-drift` replays all cassettes and reports which requests have changed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from guestlist import AsyncGuestlist, Guestlist
    from guestlist.provider import Provider
    from guestlist.sandbox import Sandbox
    from pytest_guestlist.clock import VirtualClock
    from pytest_guestlist.environment import Environment

MARKER = "guestlist_cassette"
RECORD = "--guestlist-record"
LIVE = "--guestlist-live"
DRIFT = "--guestlist-drift"

RECORDED_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""When recordings against the sandbox begin, so that recording again gives the same files."""
LONGEST_NAME = 120
"""Characters of a cassette's file name. A longer name is cut and ends with a digest."""
LOOPBACK = "127.0.0.1"

_environment = pytest.StashKey["Environment"]()
_sandbox_ports = pytest.StashKey[set[int]]()

# ---------------------------------------------------------------------------- options


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("guestlist")
    group.addoption(
        RECORD,
        action="store_true",
        help="record the cassettes of the chosen tests again, against the sandbox",
    )
    group.addoption(
        LIVE,
        metavar="ADDRESS",
        help=f"with {RECORD}: record against the real services, with the credentials in the"
        " environment. ADDRESS is really invited, so it has to be yours",
    )
    group.addoption(
        DRIFT,
        action="store_true",
        help="run only the tests that replay cassettes, and report which requests have changed",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_sandbox_ports] = set()
    config.addinivalue_line(
        "markers",
        f"{MARKER}(name=None, *, profiles=None, switches=None, live=True): replay the cassette of"
        " that name (by default the test's). profiles and switches configure the sandbox for the"
        " recording; live says whether real services can be recorded instead",
    )
    if config.getoption(DRIFT) and config.getoption(RECORD):
        raise pytest.UsageError(f"{DRIFT} replays cassettes and {RECORD} writes them: choose one")
    address = config.getoption(LIVE)
    if address is not None:
        if not config.getoption(RECORD):
            raise pytest.UsageError(f"{LIVE} needs {RECORD}")
        with _in_one_line(pytest.UsageError):
            from pytest_guestlist.environment import check_live

            check_live(address)
    config.pluginmanager.register(_Results(drift=config.getoption(DRIFT)), "guestlist_results")
    if config.pluginmanager.has_plugin("recording"):
        # registered after pytest-recording, whose fixture it extends
        config.pluginmanager.register(_LoopbackAllowed(), "guestlist_loopback")


def pytest_itemcollected(item: pytest.Item) -> None:
    names = getattr(item, "fixturenames", None)
    if names is None or not item.get_closest_marker(MARKER):
        return
    if "_guestlist_environment" not in names:
        names.insert(0, "_guestlist_environment")  # also if the test uses none of the fixtures


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption(DRIFT):
        return
    others = [item for item in items if not _replays_a_cassette(item)]
    if others:
        config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if _replays_a_cassette(item)]


def _replays_a_cassette(item: pytest.Item) -> bool:
    suite_is_recorded = getattr(getattr(item, "cls", None), "cassettes", None) is not None
    return suite_is_recorded or item.get_closest_marker(MARKER) is not None


# ---------------------------------------------------------------------------- running a test


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    if not pyfuncitem.function.__module__.startswith(f"{__package__}.conformance."):
        return (yield)
    with (
        nullcontext()
        if pyfuncitem.config.getoption("fulltrace")
        else pyfuncitem.cls.reporting_errors()
    ):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    yield
    environment = item.stash.get(_environment, None)
    if environment is not None and environment.cassette is not None:
        with _in_one_line(_failure, AssertionError):
            environment.cassette.finish()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    environment = item.stash.get(_environment, None)
    if call.when != "call" or environment is None or environment.cassette is None:
        return report
    cassette = environment.cassette
    if not cassette.is_replay:
        if report.passed:
            vars(report)["guestlist_recorded"] = [str(cassette.path), cassette.digest()]
        return report
    vars(report)["guestlist_replayed"] = {
        "cassette": str(cassette.path),
        "changes": cassette.changes,
        "outdated": cassette.outdated(),
    }
    if report.failed and cassette.repeated:
        text = "\n".join(f"{one}: the last answer was repeated" for one in cassette.repeated)
        report.sections.append(("sent more often than recorded", text))
    return report


class _Results:
    """Compares the recordings of a run, and sums up its replays.

    pytest-xdist sends reports with all their attributes from its workers to the main process.
    """

    def __init__(self, *, drift: bool) -> None:
        self._drift = drift
        self._recorded: dict[str, tuple[str, str]] = {}
        self._outdated: dict[str, list[str]] = {}
        self._changed: dict[str, tuple[str, list[str]]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        found = vars(report)
        if "guestlist_recorded" in found:
            self._compare(report, *found["guestlist_recorded"])
        replayed = found.get("guestlist_replayed")
        if replayed is not None:
            self._outdated[replayed["cassette"]] = replayed["outdated"]
        if report.failed:
            changes = list(dict.fromkeys(replayed["changes"])) if replayed else []
            if changes or self._drift:
                cassette = replayed["cassette"] if replayed else "no cassette was read"
                self._changed[report.nodeid] = cassette, changes or [_reason(report)]
        yield

    def _compare(self, report: pytest.TestReport, path: str, digest: str) -> None:
        """Lets a test fail that overwrites the cassette of another one."""
        other, known = self._recorded.setdefault(path, (report.nodeid, digest))
        if known != digest:
            report.outcome = "failed"
            report.longrepr = (
                f"{path} was already recorded by {other}, with other exchanges.\n"
                f'Give each test a cassette of its own: {MARKER}("a name of its own").'
            )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._changed and not (self._drift and self._outdated):
            return
        terminalreporter.section("guestlist cassettes")
        write = terminalreporter.write_line
        total, changed = len(self._outdated), len(self._changed)
        write(f"cassettes replayed: {total}; tests that no longer fit their cassette: {changed}")
        for nodeid, (cassette, changes) in self._changed.items():
            versions = self._outdated.get(cassette, [])
            write(f"{nodeid} ({cassette})")
            for line in [*changes, *(f"recorded with {one}" for one in versions)]:
                write(f"    {line}")
        unchanged = set(self._outdated) - {cassette for cassette, _ in self._changed.values()}
        older = [one for one in unchanged if self._outdated[one]]
        if older:
            write(f"recorded with other versions, and still fit: {len(older)}")
        if self._changed:
            write(f"If these changes are right, record these tests again with {RECORD}")


def _reason(report: pytest.TestReport) -> str:
    """The first line of a failure's message."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(crash.message if crash else report.longrepr or "failed")
    return text.strip().partition("\n")[0]


@contextmanager
def _in_one_line(
    error_of: Callable[[str], BaseException], *others: type[Exception]
) -> Iterator[None]:
    """Has pytest report guestlist's errors, and missing packages, without a traceback."""
    from guestlist.errors import GuestlistError

    reported: tuple[type[Exception], ...] = (GuestlistError, *others)
    try:
        yield
        return
    except ImportError as error:
        text = f"{error.name or error} is missing: pip install pytest-guestlist"
    except reported as error:
        text = str(error)
    raise error_of(text) from None


def _failure(text: str) -> BaseException:
    return pytest.fail.Exception(text, pytrace=False)


# ---------------------------------------------------------------------------- other plugins


class _LoopbackAllowed:
    """Extends a fixture of pytest-recording: under `--block-network`, a test that uses the sandbox
    reaches this machine."""

    @pytest.fixture
    def allowed_hosts(
        self, request: pytest.FixtureRequest, allowed_hosts: list[str] | None
    ) -> list[str] | None:
        is_replay = request.node.get_closest_marker(MARKER) and not request.config.getoption(RECORD)
        used = {"_guestlist_environment"} if not is_replay else set()
        used |= {"guestlist_module", "guestlist_session"}
        if not used & set(request.fixturenames):
            return allowed_hosts
        return [*(allowed_hosts or ()), re.escape(LOOPBACK)]


@pytest.hookimpl(optionalhook=True)
def pytest_recording_configure(config: pytest.Config, vcr: Any) -> None:
    """Has `@pytest.mark.vcr` neither record nor replay requests to the sandbox."""
    before = vcr.before_record_request

    def others(request: Any) -> Any:
        if request.host == LOOPBACK and request.port in config.stash[_sandbox_ports]:
            return None
        return before(request) if before else request

    vcr.before_record_request = others


# ---------------------------------------------------------------------------- environments


@pytest.fixture(scope="session")
def _guestlist_sandboxes(
    pytestconfig: pytest.Config,
) -> Iterator[Callable[[str, datetime], Sandbox]]:
    """Returns the sandbox of a scope, made fresh at a moment. There is one for each scope."""
    from urllib.parse import urlsplit

    with _in_one_line(_failure):
        from guestlist.sandbox.server import Sandbox
        from guestlist.sandbox.services import service_classes

        kinds = service_classes()
    starts: dict[str, float] = {}
    sandboxes: dict[str, Sandbox] = {}

    with ExitStack() as running:

        def fresh(scope: str, moment: datetime) -> Sandbox:
            starts[scope] = moment.timestamp()
            if scope in sandboxes:
                sandboxes[scope].reset()
                return sandboxes[scope]
            made = Sandbox(kinds, time_source=lambda: starts[scope])
            sandboxes[scope] = sandbox = running.enter_context(made)
            urls = [sandbox.url, *(hosted.base_url for hosted in sandbox.services.values())]
            pytestconfig.stash[_sandbox_ports] |= {urlsplit(url).port or 80 for url in urls}
            return sandbox

        yield fresh


def _present() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def guestlist_start(request: pytest.FixtureRequest) -> datetime:
    """The moment at which the time of a test begins: the present one. Override it for another.

    A recording begins at a fixed moment, and a replay when its recording began.
    """
    return RECORDED_AT if request.node.get_closest_marker(MARKER) else _present()


@pytest.fixture
def guestlist_cassette_dir(request: pytest.FixtureRequest) -> Path:
    """The folder of the cassettes: `cassettes`, beside the test. Override it for another."""
    return request.path.parent / "cassettes"


@pytest.fixture
def _guestlist_environment(
    request: pytest.FixtureRequest, guestlist_start: datetime, guestlist_cassette_dir: Path
) -> Iterator[Environment]:
    with ExitStack() as stack:
        with _in_one_line(_failure):
            opened = _open(request, guestlist_start, guestlist_cassette_dir)
            environment = stack.enter_context(opened)
        request.node.stash[_environment] = environment
        yield environment


def _open(
    request: pytest.FixtureRequest, start: datetime, folder: Path
) -> AbstractContextManager[Environment]:
    from pytest_guestlist import environment

    def sandbox() -> Any:
        return request.getfixturevalue("_guestlist_sandboxes")("function", start)

    mark = request.node.get_closest_marker(MARKER)
    if mark is None:
        return nullcontext(environment.on_sandbox(sandbox()))
    marked = _Marked(*mark.args, **mark.kwargs)
    path = folder / f"{marked.name or _name_of(request.node)}.yaml"
    if not request.config.getoption(RECORD):
        return environment.replayed(path, start, f'pytest "{request.node.nodeid}" {RECORD}')
    address = request.config.getoption(LIVE)
    if address is None:
        return environment.recorded(path, sandbox(), marked.profiles, marked.switches)
    if marked.profiles or marked.switches or not marked.live:
        pytest.skip("only the sandbox can be configured for this")
    return environment.recorded_live(path, address)


def _name_of(item: pytest.Item) -> str:
    """The name of an unnamed cassette: module, class, test and parameters."""
    classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    name = re.sub(r"[^\w.@+-]+", "-", ".".join([*classes, item.name])).strip("-")
    if len(name) > LONGEST_NAME:
        digest = hashlib.sha256(item.name.encode()).hexdigest()[:8]
        name = f"{name[:LONGEST_NAME]}-{digest}"
    return f"{item.path.stem}/{name}"


class _Marked:
    """The arguments of the marker."""

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
def guestlist_accounts(_guestlist_environment: Environment) -> dict[str, Provider]:
    """The accounts of the clients: one for each installed provider, under its name.

    Override it if the application knows its accounts by other names:

        @pytest.fixture
        def guestlist_accounts(guestlist_accounts):
            return {"cloud": guestlist_accounts["vultr"]}
    """
    return _guestlist_environment.accounts


@pytest.fixture
def guestlist_client(
    guestlist_accounts: Mapping[str, Provider], _guestlist_environment: Environment
) -> Iterator[Guestlist]:
    """A client on the sandbox, or on the cassette that the test is marked with."""
    with _guestlist_environment.client_of(guestlist_accounts) as client:
        yield client


@pytest.fixture
def guestlist_async_client(
    guestlist_accounts: Mapping[str, Provider], _guestlist_environment: Environment
) -> AsyncGuestlist:
    """An async client, for any plugin that runs async tests. It need not be closed."""
    return _guestlist_environment.async_client_of(guestlist_accounts)


@pytest.fixture
def guestlist_clock(_guestlist_environment: Environment) -> VirtualClock:
    """The time of the clients and the sandbox. `guestlist_clock.advance` moves it. So does every
    pause of a client, which takes no time."""
    from pytest_guestlist.clock import VirtualClock

    if not isinstance(_guestlist_environment.clock, VirtualClock):
        pytest.skip("the time of real services cannot be moved")
    return _guestlist_environment.clock


@pytest.fixture
def guestlist_sandbox(_guestlist_environment: Environment) -> Sandbox:
    """The sandbox: fresh for each test, at the moment of `guestlist_start`."""
    if _guestlist_environment.sandbox is None or _guestlist_environment.cassette is not None:
        raise _failure(
            f"a test marked {MARKER} has no sandbox when it replays: accept with"
            " guestlist_accept, set profiles and switches in the marker"
        )
    return _guestlist_environment.sandbox


@pytest.fixture
def guestlist_invitee(_guestlist_environment: Environment) -> str:
    """An address to invite. In a live recording it is the one that the command line names."""
    return _guestlist_environment.invitee


@pytest.fixture
def guestlist_accept(
    request: pytest.FixtureRequest, _guestlist_environment: Environment
) -> Callable[..., None]:
    """Accepts as the invitee: `guestlist_accept("ada@example.com")` accepts the newest invitation
    on every service that has one, `guestlist_accept("ada@example.com", service="vultr")` on one.

    In a live recording it asks the person at the terminal to accept, and returns. Call
    `guestlist_client.wait` then.
    """

    def accept(email: str, *, service: str | None = None) -> None:
        if _guestlist_environment.live:
            capture = request.config.pluginmanager.getplugin("capturemanager")
            with capture.global_and_fixture_disabled() if capture else nullcontext():
                print(f"\nPlease accept the invitation of {email}; this test waits for it.")
        _guestlist_environment.accept(email, service)

    return accept


@pytest.fixture(scope="module")
def guestlist_module(_guestlist_sandboxes: Callable[[str, datetime], Sandbox]) -> Environment:
    """A sandbox for the tests of one module, with `client`, `async_client`, `accounts`, `clock`,
    `sandbox` and `accept`. The changes of one test are visible in the next ones."""
    return _shared("module", _guestlist_sandboxes)


@pytest.fixture(scope="session")
def guestlist_session(_guestlist_sandboxes: Callable[[str, datetime], Sandbox]) -> Environment:
    """A sandbox like `guestlist_module`, for all tests of the session."""
    return _shared("session", _guestlist_sandboxes)


def _shared(scope: str, sandboxes: Callable[[str, datetime], Sandbox]) -> Environment:
    from pytest_guestlist.environment import on_sandbox

    return on_sandbox(sandboxes(scope, _present()))
