"""The scripts do what they say, on a sandbox."""

from __future__ import annotations

import csv
import io
import json
import runpy
import shutil
import sys
import time
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from pkgutil import resolve_name

import pytest

from guestlist.provider import Provider
from guestlist.sandbox import Sandbox

HERE = Path(__file__).parent


@pytest.fixture
def run(
    guestlist_accounts: dict[str, Provider],
    guestlist_sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., int]:
    """Runs a script whose `guestlist.toml` leads to the sandbox; its exit code."""
    lines = []
    for name in ("aitronos", "vultr"):
        lines += [f"[accounts.{name}]", f"provider = {json.dumps(name)}"]
        settings = guestlist_sandbox.services[name].settings
        lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    (tmp_path / "guestlist.toml").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GUESTLIST_CONFIG", raising=False)

    def run(script: str, *arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        with pytest.raises(SystemExit) as exit:
            runpy.run_path(str(HERE / script), run_name="__main__")
        code = exit.value.code
        assert isinstance(code, int)
        return code

    return run


def test_invite(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("invite.py", "ada@example.com") == 0
    assert capsys.readouterr().out.splitlines() == [
        "aitronos: invited, pending",
        "vultr: invited, pending",
    ]

    assert run("invite.py", "ada") == 1
    assert capsys.readouterr().err.count("'ada' is not an email address") == 2


def test_async_many(
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    guestlist_sandbox: Sandbox,
) -> None:
    people = [f"guest-{number}@example.com" for number in range(5)]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([*people, "", people[0], "nobody"])))

    assert run("async_many.py", "vultr") == 1

    printed = capsys.readouterr()
    assert printed.out == "1 already_invited, 1 failed, 5 invited\n"
    assert "nobody" in printed.err
    assert sorted(email.to for email in guestlist_sandbox.outbox.emails) == people


def test_scheduled(
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    guestlist_sandbox: Sandbox,
) -> None:
    with Path("guestlist.toml").open("a") as roster:
        roster.write('\n[[people]]\nemail = "ada@example.com"\naccounts.vultr = true\n')
    assert run("scheduled.py", "guestlist.toml") == 0
    assert capsys.readouterr().out.splitlines() == [
        "invite ada@example.com on vultr: is not there",
        "vultr: 1 done, 0 left, 1 emails",
    ]
    assert run("scheduled.py", "guestlist.toml") == 0
    assert capsys.readouterr().out.splitlines() == ["Nothing to do."]

    others = ", ".join(f'"guest-{number}@example.com"' for number in range(60))
    with Path("guestlist.toml").open("a") as roster:
        roster.write(f"[[people]]\nemail = [{others}]\naccounts.vultr = true\n")
    assert run("scheduled.py", "guestlist.toml") == 1
    assert "More than 50 changes" in capsys.readouterr().err
    assert len(guestlist_sandbox.outbox.emails) == 1

    assert run("scheduled.py", "nowhere.toml") == 1
    assert "nowhere.toml" in capsys.readouterr().err


def test_company(
    guestlist_accounts: dict[str, Provider],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A person joins and leaves all services of `company.toml`, as docs/company.md says."""
    start = datetime(2026, 11, 30, tzinfo=UTC).timestamp() - time.monotonic()
    shutil.copy(HERE / "company.toml", tmp_path / "guestlist.toml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    roster = tomllib.loads(Path("guestlist.toml").read_text())
    places = [str(provider.sandbox) for provider in guestlist_accounts.values()]
    kinds = [resolve_name(place) for place in places]
    with Sandbox(kinds, time_source=lambda: start + time.monotonic()) as sandbox:
        monkeypatch.setenv("GUESTLIST_SANDBOX", sandbox.url)

        def guestlist(*words: str) -> str:
            monkeypatch.setattr(sys, "argv", ["guestlist", *words])
            with pytest.raises(SystemExit) as exit:
                runpy.run_module("guestlist", run_name="__main__")
            printed = capsys.readouterr()
            assert not exit.value.code, (words, printed)
            return printed.out

        def matrix(pattern: str) -> list[str]:
            _, line = csv.reader(io.StringIO(guestlist("who", pattern, "--csv")))
            return line[1:]

        guestlist("apply", "--ledger", "company.db")
        accounts = list(roster["accounts"])
        groups = roster["groups"]
        wanted = {*groups["staff"]["accounts"], *groups["engineering"]["accounts"]}
        expected = dict.fromkeys(wanted, "invited") | {"scim": "member"}
        nina = [expected.get(account, "") for account in accounts]
        assert matrix("nina") == nina
        assert "member" in matrix("kim")

        for hosted in sandbox.services.values():
            for invitation in hosted.service.snapshot()["invitations"]:
                if invitation["state"] == "pending":
                    hosted.service.accept(invitation["id"])
        assert "nina@example.org" in guestlist("settle", "--ledger", "company.db")
        assert matrix("nina") == ["member" if word else "" for word in nina]
        guestlist("plan", "--detailed-exitcode")
        guestlist("audit", "--fail-on", "not-in-roster,missing,unclear,outside-domain")

        offboarded = guestlist("offboard", "nina@example.org", "--ledger", "company.db")
        assert offboarded.count("removed") == len(wanted)
        text = Path("guestlist.toml").read_text()
        begin = text.index("[[people]] # joins")
        end = text.index("[[people]]", begin + 1)
        Path("guestlist.toml").write_text(text[:begin] + text[end:])

        sandbox.clock.advance(timedelta(days=1500))  # beyond the last day of Omar
        guestlist("apply", "--prune", "--ledger", "company.db")
        assert guestlist("who", "omar") == guestlist("who", "nina") == "No people.\n"
        guestlist("plan", "--detailed-exitcode")
