"""What is particular about Keycloak: through the clients and the command line, on the sandbox."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from guestlist import Guestlist
from guestlist.errors import (
    ConfigError,
    Conflict,
    Forbidden,
    GuestlistError,
    Rejected,
    Unauthorized,
)
from guestlist.models import Outcome, State
from guestlist.roster.same_organization import check_distinct
from guestlist.sandbox import Sandbox
from guestlist_keycloak import Keycloak
from guestlist_keycloak.sandbox import KeycloakService
from pytest_guestlist.clock import VirtualClock

ADA = "ada@example.com"


class Place:
    """A sandbox, the requests that it got, and clients for it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.running = sandbox.services["keycloak"]
        self.service: Any = self.running.service
        self.clock = VirtualClock(sandbox=sandbox)
        self.sent: list[httpx.Request] = []
        hooks = {"request": [self.sent.append]}
        self.http_client = httpx.Client(event_hooks=hooks, trust_env=False)

    def client(self, **settings: Any) -> Guestlist:
        account = Keycloak(**{**self.running.settings, **settings})
        return Guestlist({"kc": account}, clock=self.clock, http_client=self.http_client)

    def emails(self, address: str = ADA) -> list[Any]:
        return list(self.service.outbox.to(address))

    def accept(self, address: str = ADA) -> None:
        self.service.accept(self.emails(address)[-1].invitation)

    def paths(self, method: str) -> list[str]:
        sent = [one.url.path for one in self.sent if one.method == method]
        return [path.partition(self.service.organization_id)[2] or path for path in sent]


@pytest.fixture
def place() -> Iterator[Place]:
    with Sandbox([KeycloakService]) as sandbox:
        place = Place(sandbox)
        with place.http_client:
            yield place


def test_a_managed_member_is_not_removed_by_default(place: Place) -> None:
    with place.client(delete_accounts=False) as guests:
        guests.invite(ADA)
        place.accept()
        with pytest.raises(Conflict, match="delete the account from the realm") as refused:
            guests.remove(ADA)
        assert (refused.value.happened, place.paths("DELETE")) == (False, [])
        assert "delete_accounts" in refused.value.hint
        assert guests.status(ADA).state is State.ACCEPTED
    with place.client(delete_accounts=True) as guests:
        guests.remove(ADA)
        assert guests.status(ADA).state is State.GONE
    assert place.service.organization.person_with(ADA) is None


def test_an_account_from_before_is_not_deleted(place: Place) -> None:
    with place.client(delete_accounts=False) as guests:
        guests.assign_role("lena@example.org", "viewer")
        guests.remove("lena@example.org")
        assert guests.status("lena@example.org").state is State.GONE
        guests.invite("lena@example.org")
        place.accept("lena@example.org")
        names = {one.role.name for one in guests.access("lena@example.org").grants if one.direct}
    assert names == {"editor", "viewer"}  # roles stay with the account


def test_an_expired_invitation_is_renewed_with_one_email(place: Place) -> None:
    with place.client() as guests:
        guests.invite(ADA)
        place.clock.advance(timedelta(hours=13))
        place.sent.clear()
        result = guests.invite(ADA)
        assert (result.outcome, result.guest.state) == (Outcome.INVITED, State.PENDING)
    assert [path.endswith("/resend") for path in place.paths("POST")] == [False, True]  # a token
    assert len(place.emails()) == 2
    place.accept()


def test_the_same_organization_of_a_realm_is_one_account(place: Place) -> None:
    one = Keycloak(**place.running.settings)
    another = {"client_id": "another", "client_secret": "another-secret"}
    with pytest.raises(ConfigError, match="the same provider, address and realm and organization"):
        check_distinct({"one": one, "two": one.model_copy(update=another)})
    check_distinct({"one": one, "two": one.model_copy(update={"realm": "other"})})


def test_the_names_of_an_invitation_are_kept(place: Place) -> None:
    names = {"first_name": "Ada", "last_name": "Byron"}
    with place.client() as guests:
        invited = guests.invite(ADA, options=names).guest.invitation
        assert invited is not None
        again = guests.accounts["kc"].copy_of(invited).options
        assert again is not None
        assert again.model_dump() == names
        guests.invite(ADA, if_exists="replace")
        place.accept()
        member = guests.status(ADA).member
    assert member is not None
    assert member.name == "Ada"  # a replacement has the options of the call, here none


def test_a_mail_server_that_is_down_changes_nothing(place: Place) -> None:
    place.service.configure(smtp="down")
    with place.client() as guests:
        with pytest.raises(Rejected, match="Failed to send invite email") as refused:
            guests.invite(ADA)
        assert refused.value.happened is False
        assert "Nothing was created" in refused.value.hint
        assert place.paths("POST").count("/members/invite-user") == 1
        place.service.configure(smtp="up")
        assert guests.invite(ADA).outcome is Outcome.INVITED


@pytest.mark.parametrize("verb", ["remove", "revoke"])
def test_a_member_who_was_added_directly_keeps_no_invitation(place: Place, verb: str) -> None:
    with place.client() as guests:
        guests.invite(ADA)
        place.service.organization.add_member(ADA)
        assert len(guests.status(ADA).invitations) == 1
        getattr(guests, verb)(ADA)
        assert list(guests.invitations()) == []


def test_links_are_masked(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with place.client() as guests:
        result = guests.invite(ADA)
        [listed] = guests.invitations()
    [email] = place.emails()
    assert listed.link is not None
    assert listed.link.get_secret_value() == email.link
    key = email.link.rpartition("=")[2]
    shown = f"{result!r} {result} {listed!r} {listed.model_dump_json()} {caplog.text}"
    assert key not in shown
    assert "SANDBOX-SECRET" not in shown


def test_a_request_for_a_token_does_not_show_the_secret(place: Place) -> None:
    account = Keycloak(**place.running.settings)
    assert account.client_secret not in repr(next(account.fetch_token()))


def test_a_token_is_used_until_it_is_about_to_expire(place: Place) -> None:
    with place.client() as guests:
        for number in range(11):
            guests.invite(f"person-{number}@example.com")
            place.clock.advance(timedelta(seconds=40))
    assert sum(path.endswith("/token") for path in place.paths("POST")) == 2


WRONG: dict[str, tuple[dict[str, str], type[GuestlistError], str]] = {
    "secret": ({"client_secret": "wrong-secret"}, Unauthorized, "client_secret"),
    "client": ({"client_id": "nobody"}, Unauthorized, "client_id"),
    "realm": ({"realm": "nowhere"}, Unauthorized, "Check realm"),
    "organization": ({"organization_id": "nope"}, Rejected, "organization_id"),
    "roles": (
        {"client_id": "viewer", "client_secret": "KEYCLOAK-SANDBOX-VIEWER"},
        Forbidden,
        "manage-realm and manage-users",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_setting_is_named(place: Place, wrong: str) -> None:
    settings, error, hint = WRONG[wrong]
    with place.client(**settings) as guests, pytest.raises(error) as refused:
        guests.check()
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/admin", "end before /admin: write https://id.example.com here"),
        ("/auth/admin/master/console", "write https://id.example.com/auth here"),
        ("/realms/works", 'write https://id.example.com here, and "works" as realm'),
        ("/realms/works/account", 'write https://id.example.com here, and "works" as realm'),
    ],
)
def test_the_url_of_a_page_of_the_server_is_refused(path: str, advice: str) -> None:
    settings: dict[str, Any] = {
        "realm": "r",
        "organization_id": "o",
        "client_id": "c",
        "client_secret": "s",
    }
    with pytest.raises(ConfigError, match=re.escape(advice)) as refused:
        Keycloak(base_url=f"https://id.example.com{path}", **settings)
    assert refused.value.hint.startswith("base_url: The server's URL")


def test_a_url_with_a_wrong_path_is_named(place: Place) -> None:
    url = f"{place.running.base_url}/auth"
    with place.client(base_url=url) as guests, pytest.raises(Unauthorized, match="404") as refused:
        guests.check()
    assert "Check base_url" in refused.value.hint


def test_no_id_is_looked_for_in_a_wrong_organization(place: Place) -> None:
    """A wrong setting must not look like a person who has left."""
    with place.client(organization_id="nope") as guests:
        for verb in (guests.remove, guests.revoke):
            with pytest.raises(Rejected, match="Organization not found"):
                verb("b5d32b16-6619-4cb1-9710-37d1b83e90ec")
