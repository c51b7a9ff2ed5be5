"""The pytest plugin, as the tests of an application see it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import guestlist.testing.cassettes
from guestlist import Guestlist

pytest_plugins = ["pytester"]

INVITES = """
    import pytest

    @pytest.mark.guestlist_cassette("invite")
    def test_invite(guests):
        cloud = guests.account("vultr")
        assert cloud.invite({email!r}).guest.state == "pending"
        {more}
"""


def write(pytester: pytest.Pytester, *, email: str = "ada@example.com", more: str = "") -> None:
    pytester.makepyfile(test_app=INVITES.format(email=email, more=more))


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    # hypothesis is loaded anew by every run, which takes longer than all the rest
    return pytester.runpytest_inprocess("-p", "no:hypothesispytest", *options)


def failure(pytester: pytest.Pytester, *options: str) -> str:
    """What pytest says about the one test, which has to fail."""
    result = run(pytester, *options)
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) == 1, outcomes
    return str(result.stdout)


@pytest.fixture(autouse=True)
def loaded(guests: Guestlist) -> None:
    """Loads what the runs within this process need; pytester forgets what they load themselves."""
    guests.check(account="vultr")
    assert guestlist.testing.cassettes


# ---------------------------------------------------------------------------- the run


def test_loading_the_plugin_costs_nothing() -> None:
    program = (
        "import sys, pytest; before = set(sys.modules); import guestlist.testing.plugin;"
        " print(*sorted(set(sys.modules) - before))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    assert "guestlist.testing.plugin" in loaded
    assert loaded - {"guestlist", "guestlist._version", "guestlist.testing"} == {
        "guestlist.testing.plugin"
    }


def test_the_plugin_is_there_without_being_asked_for(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--markers")

    assert "guestlist_cassette(name=None" in str(result.stdout)


@pytest.mark.parametrize(
    ("missing", "marker"),
    [("starlette", ""), ("vcr", "@pytest.mark.guestlist_cassette('invite')")],
)
def test_a_missing_extra_is_named(pytester: pytest.Pytester, missing: str, marker: str) -> None:
    pytester.mkdir("cassettes").joinpath("invite.yaml").touch()
    pytester.makeconftest(f"import sys; sys.modules[{missing!r}] = None")
    pytester.makepyfile(f"import pytest\n\n{marker}\ndef test(guests): ...")

    result = pytester.runpytest_subprocess("-p", "no:recording")

    result.assert_outcomes(errors=1)
    assert missing in str(result.stdout)
    assert "pip install" in str(result.stdout)
    assert "Traceback" not in str(result.stdout)


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
        def test_sync(guests, guestlist_accept, guestlist_clock, guestlist_sandbox, turn):
            assert guestlist_clock.now() == datetime(2026, 2, 28, tzinfo=UTC)
            result = guests.invite("ada@example.com", account="vultr")
            assert result.outcome == "invited"
            guestlist_accept("ada@example.com")
            assert guests.status("ada@example.com", account="vultr").state == "accepted"
            assert len(guestlist_sandbox.outbox.mails) == 1
            guestlist_clock.advance(timedelta(days=1))

        def test_virtual_time(guests, guestlist_accept, guestlist_clock):
            team = guests.account("aitronos")
            team.invite("ada@example.com", role="Member")
            with pytest.raises(TimeoutError):
                team.wait("ada@example.com", timeout=3600)
            guestlist_clock.advance(timedelta(days=7))
            assert team.status("ada@example.com").state == "expired"

        def test_accepting_needs_an_invitation(guests, guestlist_accept):
            guests.invite("ada@example.com", account="vultr")
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
        async def test_in_a_plugin_s_loop(async_guests, anyio_backend):
            people = [f"guest-{number}@example.com" for number in range(10)]
            await asyncio.gather(*map(async_guests.invite, people))
            assert {one.email async for one in async_guests.invitations()} == set(people)

        def test_in_a_loop_of_one_s_own(async_guests):
            assert asyncio.run(async_guests.check()) == "Example Works"
            gc.collect()
        """
    )

    run(pytester, "-W", "error").assert_outcomes(passed=2)


# ---------------------------------------------------------------------------- cassettes


def test_a_cassette_is_recorded_and_replayed(pytester: pytest.Pytester) -> None:
    write(pytester)
    assert "Record it: run this test with --guestlist-record." in failure(pytester)

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
    assert "invite.yaml holds 1 requests that the test did not send:" in said
    assert "GET https://api.vultr.com/v2/organizations?per_page=500" in said


@pytest.mark.parametrize("change", [{"email": "grace@example.com"}, {"more": "cloud.check()"}])
def test_another_request_does_not_match(pytester: pytest.Pytester, change: dict[str, str]) -> None:
    write(pytester)
    run(pytester, "--guestlist-record").assert_outcomes(passed=1)

    write(pytester, **change)

    assert "CannotOverwriteExistingCassetteException" in failure(pytester)


def test_a_failed_test_records_nothing(pytester: pytest.Pytester) -> None:
    write(pytester)
    run(pytester, "--guestlist-record").assert_outcomes(passed=1)
    path = pytester.path.joinpath("cassettes", "invite.yaml")
    before = path.read_bytes()

    write(pytester, email="grace@example.com", more="assert False")
    run(pytester, "--guestlist-record").assert_outcomes(failed=1)

    assert path.read_bytes() == before


def test_a_cassette_is_named_after_its_test_and_is_there_unasked(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import pytest
        from guestlist import Guestlist
        from guestlist.testing.accounts import stand_in
        from guestlist_vultr import Vultr

        @pytest.mark.guestlist_cassette
        @pytest.mark.parametrize("turn", [1, 2])
        def test_app(turn):
            with Guestlist({"cloud": stand_in(Vultr)}) as guests:
                assert guests.check() == "From the file"
        """
    )
    recorder = """
        import pytest

        @pytest.mark.guestlist_cassette("test_app")
        def test_recorder(guests):
            guests.check(account="vultr")
    """
    pytester.makepyfile(test_recorder=recorder)
    run(pytester, "--guestlist-record", "test_recorder.py")
    path = pytester.path.joinpath("cassettes", "test_app.yaml")
    path.write_text(path.read_text().replace("Example Works", "From the file"))

    run(pytester, "--block-network", "-k", "test_app").assert_outcomes(passed=2, deselected=1)


def test_time_begins_with_the_first_answer(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from datetime import UTC, datetime, timedelta

        import pytest

        @pytest.mark.guestlist_cassette("lapses")
        def test_lapses(guests, guestlist_clock):
            began = guestlist_clock.now()
            guests.invite("ada@example.com", account="vultr")
            guestlist_clock.advance(timedelta(days=4))
            assert guests.status("ada@example.com", account="vultr").state == "expired"
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

    assert "play the invitee with guestlist_accept" in failure(pytester, "--guestlist-record")


# ---------------------------------------------------------------------------- live


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--guestlist-live", "me@company.test"], "--guestlist-live goes with --guestlist-record"),
        (["--guestlist-record", "--guestlist-live", "ada@example.com"], "is nobody's"),
        (["--guestlist-record", "--guestlist-live", "ada"], "is not an e-mail address"),
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
