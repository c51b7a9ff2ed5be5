"""The pytest plugin, as the tests of an application see it."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap

import pytest

import pytest_guestlist.cassettes
from guestlist import Guestlist

pytest_plugins = ["pytester"]

RECORD = "--guestlist-record"

INVITES = """
    import pytest

    @pytest.mark.guestlist_cassette("invite")
    def test_invite(guestlist_client):
        cloud = guestlist_client.account("vultr")
        assert cloud.invite({email!r}).guest.state == "pending"
        {more}
"""


def write(pytester: pytest.Pytester, *, email: str = "ada@example.com", more: str = "") -> None:
    pytester.makepyfile(test_app=INVITES.format(email=email, more=more))


QUICK = ("-p", "no:hypothesispytest", "-p", "no:schemathesis")
"""Options that leave out what every run would load anew, which takes longer than all the rest."""


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(*QUICK, *options)


def failure(pytester: pytest.Pytester, *options: str) -> str:
    """What pytest says about the one test, which has to fail."""
    result = run(pytester, *options)
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 1, outcomes
    return str(result.stdout)


@pytest.fixture(autouse=True)
def loaded(guestlist_client: Guestlist) -> None:
    """Loads what the runs within this process need; pytester forgets what they load themselves."""
    guestlist_client.check(account="vultr")
    assert pytest_guestlist.cassettes


# ---------------------------------------------------------------------------- the run


def test_loading_the_plugin_costs_nothing() -> None:
    program = (
        "import sys, pytest; before = set(sys.modules); import pytest_guestlist.plugin;"
        " print(*sorted(set(sys.modules) - before))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    assert "pytest_guestlist.plugin" in loaded
    assert loaded - {"guestlist", "guestlist._version", "pytest_guestlist"} == {
        "pytest_guestlist.plugin"
    }


def test_the_plugin_is_there_without_being_asked_for(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--markers")

    assert "guestlist_cassette(name=None" in str(result.stdout)


def test_a_missing_extra_is_named(pytester: pytest.Pytester) -> None:
    pytester.mkdir("cassettes").joinpath("invite.yaml").touch()
    pytester.makeconftest("import sys; sys.modules.update(starlette=None, vcr=None)")
    pytester.makepyfile(
        """
        import pytest

        def test_sandbox(guestlist_client): ...

        @pytest.mark.guestlist_cassette("invite")
        def test_cassette(guestlist_client): ...
        """
    )

    result = pytester.runpytest_subprocess("-p", "no:recording", *QUICK)

    result.assert_outcomes(errors=2)
    said = str(result.stdout)
    sandbox, cassette = said.split("ERROR at setup of test_cassette", 1)
    assert "starlette" in sandbox
    assert "vcr" in cassette
    assert sandbox.count("pip install") == 1
    assert "pip install" in cassette
    assert "Traceback" not in said


# ---------------------------------------------------------------------------- the sandbox


def test_every_test_finds_a_fresh_sandbox(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from datetime import UTC, datetime, timedelta

        import pytest

        @pytest.fixture
        def guestlist_start():
            return datetime(2026, 2, 28, tzinfo=UTC)

        @pytest.mark.parametrize("turn", [1, 2])
        def test_sync(guestlist_client, guestlist_accept, guestlist_clock, guestlist_sandbox, turn):
            assert guestlist_clock.now() == datetime(2026, 2, 28, tzinfo=UTC)
            result = guestlist_client.invite("ada@example.com", account="vultr")
            assert result.outcome == "invited"
            guestlist_accept("ada@example.com")
            assert guestlist_client.status("ada@example.com", account="vultr").state == "accepted"
            assert len(guestlist_sandbox.outbox.emails) == 1
            guestlist_clock.advance(timedelta(days=1))

        def test_virtual_time(guestlist_client, guestlist_accept, guestlist_clock):
            team = guestlist_client.account("aitronos")
            team.invite("ada@example.com", role="Member")
            with pytest.raises(TimeoutError):
                team.wait("ada@example.com", timeout=3600)
            guestlist_clock.advance(timedelta(days=7))
            assert team.status("ada@example.com").state == "expired"

        def test_accepting_needs_an_invitation(guestlist_client, guestlist_accept):
            guestlist_client.invite("ada@example.com", account="vultr")
            with pytest.raises(LookupError, match="aitronos"):
                guestlist_accept("ada@example.com", service="aitronos")
            guestlist_accept("ADA@example.com", service="vultr")
        """
    )

    run(pytester).assert_outcomes(passed=4)


def test_the_present_time_by_default(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from datetime import UTC, datetime, timedelta

        def test(guestlist_clock):
            assert abs(datetime.now(UTC) - guestlist_clock.now()) < timedelta(minutes=1)
        """
    )

    run(pytester).assert_outcomes(passed=1)


def test_async_clients_need_no_closing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        import gc

        import pytest

        @pytest.fixture
        def guestlist_accounts(guestlist_accounts):
            return {"cloud": guestlist_accounts["vultr"]}

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio"])
        async def test_in_a_plugin_s_loop(guestlist_async_client, anyio_backend):
            people = [f"guest-{number}@example.com" for number in range(10)]
            await asyncio.gather(*map(guestlist_async_client.invite, people))
            assert {one.email async for one in guestlist_async_client.invitations()} == set(people)

        def test_in_a_loop_of_one_s_own(guestlist_async_client):
            assert asyncio.run(guestlist_async_client.check()) == "Example Works"
            gc.collect()
        """
    )

    run(pytester, "-W", "error").assert_outcomes(passed=2)


# ---------------------------------------------------------------------------- cassettes


def test_a_cassette_is_recorded_and_replayed(pytester: pytest.Pytester) -> None:
    write(pytester)
    command = 'pytest "test_app.py::test_invite" --guestlist-record'
    assert f"Record it: {command}" in failure(pytester)

    run(pytester, "--guestlist-record").assert_outcomes(passed=1)

    text = pytester.path.joinpath("cassettes", "invite.yaml").read_text()
    assert text.startswith("# Recorded against the sandbox")
    assert "uri: https://api.vultr.com/v2/invitation\n" in text
    run(pytester, "--block-network").assert_outcomes(passed=1)


def test_what_is_recorded_has_to_be_asked_for(pytester: pytest.Pytester) -> None:
    write(pytester, more="cloud.check()")
    run(pytester, "--guestlist-record").assert_outcomes(passed=1)

    write(pytester)

    said = failure(pytester)
    assert "invite.yaml: the cassette holds a request that the test did not send:" in said
    assert "GET https://api.vultr.com/v2/organizations?per_page=500" in said


def test_a_replay_says_which_request_came_and_which_was_expected(
    pytester: pytest.Pytester,
) -> None:
    write(pytester)
    run(pytester, "--guestlist-record").assert_outcomes(passed=1)

    write(pytester, email="grace@example.com")

    shown = failure(pytester)
    path = pytester.path / "cassettes" / "invite.yaml"
    assert f"replay of {path}: the test sent a request that is not recorded:" in shown
    sent, expected = (
        shown.index(f'"email_invited": "{who}@example.com"') for who in ("grace", "ada")
    )
    assert shown.index("sent:     POST https://api.vultr.com/v2/invitation") < sent
    assert sent < shown.index("expected: POST https://api.vultr.com/v2/invitation") < expected
    assert "They differ in: body" in shown
    assert "Recorded against the sandbox of guestlist" in shown
    assert 'record them: pytest "test_app.py::test_invite" --guestlist-record' in shown


def test_a_mismatch_that_the_application_swallows_fails_the_test(
    pytester: pytest.Pytester,
) -> None:
    write(pytester)
    run(pytester, "--guestlist-record").assert_outcomes(passed=1)

    write(
        pytester,
        more="""try: cloud.check()
        except BaseException: pass""",
    )

    assert "the test sent a request that is not recorded" in failure(pytester)


def test_a_failed_test_records_nothing(pytester: pytest.Pytester) -> None:
    write(pytester)
    run(pytester, "--guestlist-record").assert_outcomes(passed=1)
    path = pytester.path.joinpath("cassettes", "invite.yaml")
    before = path.read_bytes()

    write(pytester, email="grace@example.com", more="assert False")
    run(pytester, "--guestlist-record").assert_outcomes(failed=1)

    assert path.read_bytes() == before


def test_a_client_that_the_application_makes_is_replayed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_app="""
        import pytest
        from guestlist import Guestlist
        from pytest_guestlist.accounts import stand_in
        from guestlist_vultr import Vultr

        @pytest.mark.guestlist_cassette("check")
        def test_app():
            with Guestlist({"cloud": stand_in(Vultr)}) as guests:
                assert guests.check() == "From the file"
        """,
        test_recorder="""
        import pytest

        @pytest.mark.guestlist_cassette("check")
        def test_recorder(guestlist_client):
            guestlist_client.check(account="vultr")
        """,
    )
    run(pytester, "--guestlist-record", "test_recorder.py")
    path = pytester.path.joinpath("cassettes", "check.yaml")
    path.write_text(path.read_text().replace("Example Works", "From the file"))

    run(pytester, "--block-network", "-k", "test_app").assert_outcomes(passed=1, deselected=1)


def test_unnamed_cassettes_do_not_share_a_file(pytester: pytest.Pytester) -> None:
    program = """
        import pytest

        @pytest.mark.guestlist_cassette
        @pytest.mark.parametrize("who", ["ada@example.com", "a/b@example.com", "x" * 150])
        def test_who(guestlist_client, who):
            guestlist_client.invite(who if "@" in who else "long@example.com", account="vultr")

        class TestOne:
            @pytest.mark.guestlist_cassette
            def test_who(self, guestlist_client):
                guestlist_client.invite("one@example.com", account="vultr")

        class TestTwo:
            class TestInner:
                @pytest.mark.guestlist_cassette
                def test_who(self, guestlist_client):
                    guestlist_client.invite("two@example.com", account="vultr")
    """
    pytester.makepyfile(test_a=program, test_b=program.replace("long@", "b@"))

    run(pytester, "--guestlist-record").assert_outcomes(passed=10)

    run(pytester).assert_outcomes(passed=10)
    folder = pytester.path / "cassettes"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*.yaml")}
    assert len(found) == 10
    assert found >= {
        "test_a/test_who-ada@example.com.yaml",
        "test_a/TestOne.test_who.yaml",
        "test_b/TestTwo.TestInner.test_who.yaml",
    }


TWO_OF_ONE_NAME = """
    import pytest

    @pytest.mark.guestlist_cassette("same")
    @pytest.mark.parametrize("who", [{!r}, {!r}])
    def test_who(guestlist_client, who):
        guestlist_client.invite(who, account="vultr")
"""


@pytest.mark.parametrize("options", [[], ["-n2", "--dist=each"]])
def test_two_tests_that_record_one_file_differently_fail(
    pytester: pytest.Pytester, options: list[str]
) -> None:
    pytester.makepyfile(TWO_OF_ONE_NAME.format("ada@example.com", "grace@example.com"))
    start = pytester.runpytest_subprocess if options else pytester.runpytest_inprocess

    result = start(*QUICK, "--guestlist-record", *options)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*same.yaml was already recorded by *test_who[[]*, with other exchanges.*"]
    )


def test_two_tests_that_record_the_same_may_share_a_file(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TWO_OF_ONE_NAME.format("ada@example.com", "ada@example.com"))

    run(pytester, "--guestlist-record").assert_outcomes(passed=2)
    run(pytester).assert_outcomes(passed=2)


WAITING = """
    import pytest
    from guestlist import WaitTimeout

    @pytest.mark.guestlist_cassette("waits")
    def test_waits(guestlist_client):
        cloud = guestlist_client.account("vultr")
        cloud.invite("ada@example.com")
        with pytest.raises(WaitTimeout):
            cloud.wait("ada@example.com", timeout=600)
"""


def test_waiting_is_recorded_and_replayed_alike(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(WAITING)
    path, contents = pytester.path.joinpath("cassettes", "waits.yaml"), set()
    for _ in range(2):
        run(pytester, "--guestlist-record").assert_outcomes(passed=1)
        contents.add(path.read_bytes())
        path.unlink()
    assert len(contents) == 1

    path.write_bytes(contents.pop())
    for _ in range(3):
        run(pytester).assert_outcomes(passed=1)


def test_concurrent_tests_are_replayed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        from concurrent.futures import ThreadPoolExecutor
        from random import Random
        from threading import Thread

        import pytest

        PEOPLE = [f"guest-{number}@example.com" for number in range(6)]
        again = pytest.mark.parametrize("turn", range(2))

        @again
        @pytest.mark.guestlist_cassette("threads")
        def test_threads(guestlist_client, turn):
            cloud, chat = map(guestlist_client.account, ("vultr", "aitronos"))

            states = []

            def invite(email):
                chat.invite(email, role="Member")
                cloud.invite(email)
                states.append(cloud.status(email).state)

            threads = [Thread(target=invite, args=[email]) for email in PEOPLE]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert states == ["pending"] * len(PEOPLE)

        @again
        @pytest.mark.guestlist_cassette("pool")
        def test_threads_that_serve_others_than_when_recording(guestlist_client, turn):
            cloud, chat = map(guestlist_client.account, ("vultr", "aitronos"))

            def invite_and_revoke(email):
                chat.invite(email, role="Member")
                cloud.invite(email)
                seen = [chat.status(email).state]
                chat.revoke(email)
                seen += [chat.status(email).state, cloud.status(email).state]
                return tuple(map(str, seen))

            people = Random(turn).sample(PEOPLE[:4], 4)
            with ThreadPoolExecutor(3) as pool:
                states = set(pool.map(invite_and_revoke, people))
            assert states == {("pending", "gone", "pending")}

        @again
        @pytest.mark.guestlist_cassette("tasks")
        def test_tasks(guestlist_async_client, turn):
            cloud, chat = map(guestlist_async_client.account, ("vultr", "aitronos"))

            async def invite(email):
                await chat.invite(email, role="Member")
                await cloud.invite(email)
                return (await cloud.status(email)).state

            async def all_of_them():
                return await asyncio.gather(*map(invite, PEOPLE))

            assert set(asyncio.run(all_of_them())) == {"pending"}

        @pytest.mark.guestlist_cassette("tasks")
        def test_one_thread_serves_one_after_the_other(guestlist_client):
            cloud, chat = map(guestlist_client.account, ("vultr", "aitronos"))
            for email in PEOPLE:
                chat.invite(email, role="Member")
                cloud.invite(email)
                assert cloud.status(email).state == "pending"
        """
    )

    run(pytester, "--guestlist-record", "-k", "0").assert_outcomes(passed=3, deselected=4)

    run(pytester).assert_outcomes(passed=7)


def test_versions_are_in_the_file_and_drift_is_reported(pytester: pytest.Pytester) -> None:
    write(pytester)
    pytester.makepyfile(test_other="def test_without_a_cassette(): ...")
    run(pytester, "--guestlist-record").assert_outcomes(passed=2)
    path = pytester.path.joinpath("cassettes", "invite.yaml")
    text = path.read_text()
    assert "recorded_with:\n- guestlist 0." in text
    assert "- guestlist-vultr 0." in text

    path.write_text(re.sub(r"- guestlist-vultr .*", "- guestlist-vultr 0.0.1", text))
    result = run(pytester, "--guestlist-drift")
    result.assert_outcomes(passed=1, deselected=1)
    assert "cassettes replayed: 1; tests that no longer fit their cassette: 0" in str(result.stdout)
    assert "recorded with other versions, and still fit: 1" in str(result.stdout)

    write(pytester, email="grace@example.com")
    result = run(pytester, "--guestlist-drift")
    result.assert_outcomes(failed=1, deselected=1)
    summary = str(result.stdout).partition("= guestlist cassettes =")[2]
    assert "cassettes replayed: 1; tests that no longer fit their cassette: 1" in summary
    assert f"test_app.py::test_invite ({path})" in summary
    assert "    not recorded: POST https://api.vultr.com/v2/invitation" in summary
    assert "    recorded with guestlist-vultr 0.0.1, installed: 0." in summary


def test_only_the_versions_have_changed_leaves_the_file_alone(pytester: pytest.Pytester) -> None:
    write(pytester)
    run(pytester, "--guestlist-record").assert_outcomes(passed=1)
    path = pytester.path.joinpath("cassettes", "invite.yaml")
    older = re.sub(r"- guestlist-vultr .*", "- guestlist-vultr 0.0.1", path.read_text())
    path.write_text(older)

    run(pytester, "--guestlist-record").assert_outcomes(passed=1)

    assert path.read_text() == older


@pytest.mark.parametrize(
    "text", [b"interactions: [", b"no: cassette", b"- request: {}", b"", b"\xff"]
)
def test_a_file_that_is_not_a_cassette_is_named(pytester: pytest.Pytester, text: bytes) -> None:
    write(pytester)
    path = pytester.mkdir("cassettes").joinpath("invite.yaml")
    path.write_bytes(text)

    shown = failure(pytester)

    assert f"{path} is not a cassette" in shown
    assert "Traceback" not in shown


def test_time_begins_with_the_first_answer(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from datetime import UTC, datetime, timedelta

        import pytest

        @pytest.mark.guestlist_cassette("lapses")
        def test_lapses(guestlist_client, guestlist_clock):
            began = guestlist_clock.now()
            guestlist_client.invite("ada@example.com", account="vultr")
            guestlist_clock.advance(timedelta(days=4))
            assert guestlist_client.status("ada@example.com", account="vultr").state == "expired"
            assert began == datetime(2026, 1, 5, 9, tzinfo=UTC)
        """
    )

    run(pytester, "--guestlist-record").assert_outcomes(passed=1)
    run(pytester).assert_outcomes(passed=1)


def test_a_replay_has_no_sandbox(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.guestlist_cassette("any")
        def test(guestlist_sandbox): ...
        """
    )

    assert "accept with guestlist_accept" in failure(pytester, "--guestlist-record")


# ---------------------------------------------------------------------------- other test tools


OTHER_TOOLS = """
    import httpx
    import pytest
    import respx

    def invite(guests):
        assert guests.invite("ada@example.com", account="vultr").outcome == "invited"

    @pytest.mark.vcr
    def test_vcr(guestlist_client):
        invite(guestlist_client)

    @pytest.mark.vcr
    def test_vcr_and_a_client_of_the_application(guestlist_accounts):
        with Guestlist(guestlist_accounts) as guests:
            invite(guests)

    def test_respx(guestlist_client):
        with respx.mock:
            respx.get("https://hr.example/x").respond(json={})
            httpx.get("https://hr.example/x")
            invite(guestlist_client)

    def test_pytest_httpx(guestlist_client, httpx_mock):
        httpx_mock.add_response(url="https://hr.example/x", json={})
        httpx.get("https://hr.example/x")
        invite(guestlist_client)

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
    async def test_async(guestlist_async_client, anyio_backend, httpx_mock, respx_mock):
        result = await guestlist_async_client.invite("ada@example.com", account="vultr")
        assert result.outcome == "invited"

    @pytest.mark.guestlist_cassette("mocked")
    def test_a_cassette(guestlist_client, httpx_mock, respx_mock):
        invite(guestlist_client)
"""


def test_other_tools_leave_the_sandbox_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(f"from guestlist import Guestlist\n{textwrap.dedent(OTHER_TOOLS)}")

    result = run(pytester, "--record-mode=once", RECORD)

    result.assert_outcomes(passed=7)
    folder = pytester.path / "cassettes"
    assert [path.name for path in folder.rglob("*.yaml")] == ["mocked.yaml"]
    run(pytester, "--block-network").assert_outcomes(passed=7)


def test_blocking_the_network_leaves_the_sandbox_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import socket

        import pytest
        from guestlist import Guestlist

        def test_the_fixture(guestlist_client):
            guestlist_client.check(account="vultr")

        def test_a_client_of_the_application(guestlist_accounts):
            with Guestlist(guestlist_accounts) as guests:
                guests.check(account="vultr")

        def test_a_shared_sandbox(guestlist_module):
            guestlist_module.client.check(account="vultr")

        def test_everything_else_is_blocked(guestlist_client):
            with socket.socket() as out, pytest.raises(RuntimeError, match="Network is disabled"):
                out.connect(("192.0.2.1", 9))

        def test_without_a_sandbox():
            with socket.socket() as out, pytest.raises(RuntimeError, match="Network is disabled"):
                out.connect(("127.0.0.1", 9))
        """
    )

    run(pytester, "--block-network").assert_outcomes(passed=5)
    run(pytester, "--block-network", "--allowed-hosts=192.0.2.7").assert_outcomes(passed=5)


def test_a_test_that_freezes_time_ends(pytester: pytest.Pytester) -> None:
    """In a worker of pytest-xdist, too, which has threads of its own."""
    pytester.makepyfile(
        """
        import time

        from freezegun import freeze_time

        def test_frozen(guestlist_client, guestlist_module):
            with freeze_time("2030-01-01"):
                guestlist_client.invite("ada@example.com", account="vultr")
                guestlist_module.client.invite("ada@example.com", account="vultr")
                time.sleep(0.3)

        @freeze_time("2030-01-01")
        def test_frozen_from_the_start(guestlist_client):
            guestlist_client.invite("ada@example.com", account="vultr")
        """
    )

    result = pytester.runpytest_subprocess(*QUICK, "-n1", timeout=60)

    result.assert_outcomes(passed=2)


# ---------------------------------------------------------------------------- wider scopes


def test_a_module_and_a_session_may_share_a_sandbox(pytester: pytest.Pytester) -> None:
    program = """
        from datetime import timedelta

        import pytest

        @pytest.fixture(scope="module")
        def team(guestlist_module):
            guestlist_module.client.invite("ada@example.com", account="vultr")
            return guestlist_module.client.account("vultr")

        def test_pending(team, guestlist_client):
            assert team.status("ada@example.com").state == "pending"
            assert guestlist_client.status("ada@example.com", account="vultr").state == "gone"

        def test_accepted(team, guestlist_module):
            guestlist_module.accept("ada@example.com")
            guestlist_module.clock.advance(timedelta(days=1))
            assert team.status("ada@example.com").state == "accepted"
            assert len(guestlist_module.sandbox.outbox.emails) == 1

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
        async def test_async(guestlist_module, anyio_backend):
            guest = await guestlist_module.async_client.status("ada@example.com", account="vultr")
            assert guest.state == "accepted"

        def test_session(guestlist_session):
            result = guestlist_session.client.invite("eve@example.com", account="vultr")
            assert result.outcome == EXPECTED
    """
    pytester.makepyfile(
        test_a=program.replace("EXPECTED", '"invited"'),
        test_b=program.replace("EXPECTED", '"already_invited"'),
    )

    run(pytester, "-W", "error").assert_outcomes(passed=10)


# ---------------------------------------------------------------------------- live


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--guestlist-live", "me@company.test"], "--guestlist-live needs --guestlist-record"),
        (
            ["--guestlist-record", "--guestlist-live", "ada@example.com"],
            "belongs to an example domain",
        ),
        (["--guestlist-record", "--guestlist-live", "ada"], "is not an email address"),
    ],
)
def test_live_recording_needs_a_real_address(
    pytester: pytest.Pytester, options: list[str], reason: str
) -> None:
    write(pytester)

    result = run(pytester, *options)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert reason in str(result.stderr)


def test_live_recording_needs_credentials(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VULTR_API_KEY", "FREDDY_API_KEY", "FREDDY_JWT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    write(pytester)

    said = failure(pytester, "--guestlist-record", "--guestlist-live", "me@company.test")

    assert "no account of a real service is in the environment" in said
    assert "VULTR_API_KEY" in said
    assert not pytester.path.joinpath("cassettes").exists()
