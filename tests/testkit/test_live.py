"""A recording against real services, for which a sandbox stands here."""

from __future__ import annotations

from pathlib import Path

import pytest

from guestlist import ConfigError, Guestlist
from guestlist.provider import Provider
from guestlist_aitronos import Aitronos
from guestlist_vultr import Vultr
from pytest_guestlist import environment
from pytest_guestlist.accounts import live_accounts

ADDRESS = "Me+guests@company.test"


def story(guests: Guestlist, invitee: str) -> None:
    team = guests.account("aitronos")
    result = team.invite(invitee, role="Member")
    assert result.guest.invitation is not None
    assert result.guest.invitation.key is not None
    assert team.call(Aitronos.validate_key, result.guest.invitation.key).email == invitee
    team.revoke(invitee)


def test_it_is_replayed_without_the_address(
    tmp_path: Path,
    guestlist_accounts: dict[str, Provider],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "live_accounts", lambda: guestlist_accounts)
    path = tmp_path / "story.yaml"

    with environment.recorded_live(path, ADDRESS) as live, Guestlist(live.accounts) as guests:
        assert live.cassette is not None
        story(guests, live.invitee)
        live.cassette.finish()

    text = path.read_text()
    assert text.startswith("# Recorded against http://127.0.0.1:")
    assert "company.test" not in text
    with (
        environment.replayed(path, live.clock.now()) as replay,
        Guestlist(replay.accounts, clock=replay.clock) as guests,
    ):
        assert replay.cassette is not None
        story(guests, replay.invitee)
        replay.cassette.finish()


def test_credentials_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FREDDY_API_KEY", "FREDDY_JWT_TOKEN", "AITRONOS_ORGANIZATION_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VULTR_API_KEY", "real")
    monkeypatch.setenv("VULTR_ORGANIZATION_ID", "would make other requests than a replay")

    accounts = live_accounts()

    assert accounts["vultr"] == Vultr(api_key="real", organization_id=None)
    assert "aitronos" not in accounts


def test_without_credentials_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VULTR_API_KEY", "FREDDY_API_KEY", "FREDDY_JWT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(
        "pytest_guestlist.accounts.installed",
        lambda: type("Plugins", (), {"providers": {"vultr": Vultr, "aitronos": Aitronos}}),
    )

    with pytest.raises(ConfigError, match=r"FREDDY_API_KEY.*VULTR_API_KEY"):
        live_accounts()
