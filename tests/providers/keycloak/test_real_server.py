"""guestlist on the real Keycloak: every fact of the provider's page, through the public clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guestlist import AsyncGuestlist, Guestlist
from guestlist.errors import Conflict, Forbidden, GuestlistError, NotFound, Rejected, Unauthorized
from guestlist.models import Outcome, RemoveOutcome, RevokeOutcome, State

if TYPE_CHECKING:
    from tests.providers.keycloak.conftest import Realm

pytestmark = pytest.mark.proof  # the server takes a minute to start

ADA = "Ada@Example.com"
KEY = "ada@example.com"


def client(server: Realm, **settings: Any) -> Guestlist:
    return Guestlist({"kc": server.provider(**settings)})


def expire(realm: Realm, change: Callable[[], object]) -> None:
    """Makes a change whose invitations live for a second, and waits until they have expired."""
    realm.configure(actionTokenGeneratedByAdminLifespan=1)
    change()
    realm.configure(actionTokenGeneratedByAdminLifespan=43200)
    time.sleep(2.1)  # the server counts whole seconds


def has_links(version: str) -> bool:
    return version.startswith("26.5")


# ---------------------------------------------------------------------------- invitations


def test_from_invitation_to_removal(realm: Realm, version: str) -> None:
    with client(realm, delete_accounts=True) as guests:
        assert guests.check() == "Example Works"
        options = {"first_name": "Ada", "last_name": "Byron"}
        invited = guests.invite(ADA, options=options)
        invitation = invited.guest.invitation
        assert invitation is not None
        assert (invited.outcome, invited.email_sent) == (Outcome.INVITED, True)
        assert (invitation.email, invitation.state) == (KEY, State.PENDING)
        assert "Ada Byron" in realm.emails_to(KEY)[0].as_string()
        if has_links(version):
            assert invitation.link is not None
            assert realm.links_to(KEY) == [invitation.link.get_secret_value()]
        assert guests.status(KEY).invitation == invitation

        realm.accept(KEY)
        member = guests.status(ADA).member
        assert member is not None
        assert (member.email, member.login, member.name) == (KEY, KEY, "Ada Byron")
        assert list(guests.invitations()) == []

        guests.assign_role(ADA, "editor")
        assert [grant.role.name for grant in guests.access(ADA).grants if grant.direct] == [
            "editor"
        ]
        guests.unassign_role(ADA, "editor")
        assert not any(grant.direct for grant in guests.access(ADA).grants)

        assert guests.remove(ADA).outcome is RemoveOutcome.REMOVED
        assert guests.remove(ADA).outcome is RemoveOutcome.ALREADY_REMOVED
        assert guests.status(ADA).state is State.GONE


def test_the_same_with_the_async_client(realm: Realm) -> None:
    async def live() -> list[State]:
        states = []
        async with AsyncGuestlist({"kc": realm.provider(delete_accounts=True)}) as guests:
            states.append((await guests.invite(ADA)).guest.state)
            await asyncio.to_thread(realm.accept, KEY)
            states.append((await guests.status(ADA)).state)
            await guests.assign_role(ADA, "viewer")
            await guests.remove(ADA)
            states.append((await guests.status(ADA)).state)
        return states

    assert asyncio.run(live()) == [State.PENDING, State.ACCEPTED, State.GONE]


def test_inviting_again_sends_no_email(realm: Realm) -> None:
    with client(realm) as guests:
        first = guests.invite(ADA).guest
        again = guests.invite(KEY.upper())
        assert (again.outcome, again.guest.invitation) == (
            Outcome.ALREADY_INVITED,
            first.invitation,
        )
        assert len(realm.emails_to(KEY)) == 1
        realm.accept(KEY)
        assert guests.invite(ADA).outcome is Outcome.ALREADY_MEMBER
        assert len(realm.emails_to(KEY)) == 1


def test_an_expired_invitation_is_renewed_with_one_email(realm: Realm) -> None:
    with client(realm) as guests:
        expire(realm, lambda: guests.invite(ADA))
        assert guests.status(ADA).state is State.EXPIRED
        assert guests.invite(ADA).guest.state is State.PENDING
        assert len(realm.emails_to(KEY)) == 2
        realm.accept(KEY)
        assert guests.status(ADA).state is State.ACCEPTED


def test_the_server_emails_a_dead_link_before_it_refuses(realm: Realm) -> None:
    """The reason why `invite` looks for an expired invitation first."""
    path = "/members/invite-user"
    expire(realm, lambda: realm.organization("POST", path, data={"email": KEY}))
    answer = realm.organization("POST", path, data={"email": KEY})
    assert (answer.status_code, answer.json()["error_description"]) == (
        409,
        "Duplicate resource error",
    )
    assert len(realm.emails_to(KEY)) == 2
    assert len(realm.records(KEY)) == 1


def test_resend_changes_the_id_and_the_link(realm: Realm) -> None:
    with client(realm) as guests:
        first = guests.invite(ADA).guest.invitation
        again = guests.resend(ADA)
        renewed = again.guest.invitation
        assert first is not None
        assert renewed is not None
        assert (again.outcome, again.replaced) == (Outcome.RESENT, first)
        assert renewed.id != first.id
        old, new = realm.links_to(KEY)
        assert old != new
        with pytest.raises(NotFound):
            guests.status(str(first.id))
        realm.accept(KEY)


def test_resend_after_expiry(realm: Realm) -> None:
    with client(realm) as guests:
        expire(realm, lambda: guests.invite(ADA))
        assert guests.resend(ADA).guest.state is State.PENDING
        expire(realm, lambda: guests.resend(ADA))
        assert guests.revoke(ADA).outcome is RevokeOutcome.REVOKED
        assert realm.records(KEY) == []


def test_a_mail_server_that_is_down_changes_nothing(realm: Realm) -> None:
    with client(realm) as guests:
        before = guests.invite("bob@example.com").guest.invitation
        realm.configure(smtpServer={**realm.smtp, "port": "9"})
        began = time.monotonic()
        with pytest.raises(Rejected, match="Failed to send invite email") as refused:
            guests.invite(ADA)
        assert refused.value.happened is False
        assert "SMTP" in refused.value.hint
        with pytest.raises(Rejected):
            guests.resend("bob@example.com")
        assert time.monotonic() - began < 20
        assert [one.id for one in guests.invitations()] == [before and before.id]
        realm.configure(smtpServer=realm.smtp)
        assert guests.invite(ADA).outcome is Outcome.INVITED


def test_simultaneous_invitations_make_one(realm: Realm) -> None:
    def invite(_: int) -> Outcome:
        with client(realm) as alone:
            return alone.invite(ADA).outcome

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(invite, range(4)))
    assert outcomes == [Outcome.ALREADY_INVITED] * 3 + [Outcome.INVITED]
    assert len(realm.records(KEY)) == 1


def test_addresses_that_look_like_patterns(realm: Realm, version: str) -> None:
    with client(realm) as guests:
        guests.invite("axb@example.com")
        assert guests.status("a_b@example.com").state is State.GONE
        if version.startswith("26.5"):
            with pytest.raises(Conflict, match="pending") as refused:
                guests.invite("a_b@example.com")
            assert "wildcards" in refused.value.hint
        else:
            assert guests.invite("a_b@example.com").outcome is Outcome.INVITED


@pytest.mark.parametrize("email", ["o'hara@example.com", "a+b@example.com", "kim@bücher.example"])
def test_odd_addresses(realm: Realm, email: str) -> None:
    with client(realm) as guests:
        assert guests.invite(email).outcome is Outcome.INVITED
        assert guests.invite(email).outcome is Outcome.ALREADY_INVITED
        assert guests.status(email).state is State.PENDING
        realm.add_member(email)
        assert guests.status(email).member is not None


def test_two_spellings_of_a_domain_are_one_person(realm: Realm) -> None:
    with client(realm) as guests:
        guests.invite("kim@bücher.example")
        assert guests.status("kim@xn--bcher-kva.example").state is State.PENDING


def test_an_invitation_of_another_organization_is_not_found(realm: Realm) -> None:
    other = realm.admin("POST", "/organizations", json={"name": "Other", "alias": "other"})
    path = f"/organizations/{other.headers['location'].rpartition('/')[2]}"
    realm.admin("POST", f"{path}/members/invite-user", data={"email": KEY})
    [theirs] = realm.admin("GET", f"{path}/invitations").json()
    with client(realm) as guests:
        with pytest.raises(NotFound):
            guests.status(theirs["id"])
        assert guests.revoke(theirs["id"]).outcome is RevokeOutcome.ALREADY_REVOKED
    assert realm.admin("GET", f"{path}/invitations").json() == [theirs]


# ---------------------------------------------------------------------------- members


def test_removing_a_managed_member_deletes_the_account(realm: Realm) -> None:
    with client(realm) as guests:
        guests.invite(ADA)
        realm.accept(KEY)
        member = guests.status(ADA).member
        assert member is not None
        with pytest.raises(Conflict, match="delete the account") as refused:
            guests.remove(ADA)
        assert refused.value.happened is False
        assert "delete_accounts" in refused.value.hint
        assert realm.user(member.id).status_code == 200
    with client(realm, delete_accounts=True) as guests:
        guests.remove(ADA)
    assert realm.user(member.id).status_code == 404


def test_an_unmanaged_member_keeps_the_account_and_its_roles(realm: Realm) -> None:
    id = realm.add_user(KEY)
    with client(realm) as guests:
        guests.invite(ADA)
        realm.accept(KEY)
        guests.assign_role(ADA, "editor")
        guests.remove(ADA)
        assert guests.status(ADA).state is State.GONE
        assert realm.user(id).status_code == 200
        held = realm.admin("GET", f"/users/{id}/role-mappings/realm").json()
        assert "editor" in [role["name"] for role in held]


@pytest.mark.parametrize("verb", ["remove", "revoke"])
def test_a_member_who_was_added_directly_keeps_no_invitation(realm: Realm, verb: str) -> None:
    with client(realm) as guests:
        guests.invite(ADA)
        realm.add_member(KEY)
        guest = guests.status(ADA)
        assert (guest.state, len(guest.invitations)) == (State.ACCEPTED, 1)
        getattr(guests, verb)(ADA)
        assert realm.records(KEY) == []
        assert guests.status(ADA).state is (State.GONE if verb == "remove" else State.ACCEPTED)


def test_a_disabled_account_is_suspended(realm: Realm) -> None:
    realm.add_member(KEY, enabled=False)
    realm.add_member("", username="bot")
    with client(realm) as guests:
        assert guests.status(ADA).suspended is True
        logins = {member.login: member.email for member in guests.members()}
    assert logins == {KEY: KEY, "bot": None}


def test_roles_that_come_with_others_are_not_direct(realm: Realm) -> None:
    realm.admin("POST", "/roles", json={"name": "manager"})
    [manager] = [one for one in realm.admin("GET", "/roles").json() if one["name"] == "manager"]
    [editor] = [one for one in realm.admin("GET", "/roles").json() if one["name"] == "editor"]
    realm.admin("POST", f"/roles-by-id/{manager['id']}/composites", json=[editor])
    realm.add_member(KEY)
    with client(realm) as guests:
        guests.assign_role(ADA, "manager")
        grants = {grant.role.name: grant.direct for grant in guests.access(ADA).grants}
    default = f"default-roles-{realm.name}"
    indirect = dict.fromkeys((default, "offline_access", "uma_authorization", "editor"), False)
    assert grants == {"manager": True, **indirect}


# ---------------------------------------------------------------------------- what can be wrong

WRONG: dict[str, tuple[dict[str, str], type[GuestlistError], str]] = {
    "secret": ({"client_secret": "wrong-secret"}, Unauthorized, "client_secret"),
    "client": ({"client_id": "nobody"}, Unauthorized, "client_id"),
    "realm": ({"realm": "nowhere"}, Unauthorized, "Check realm"),
    "organization": ({"organization_id": "nope"}, Rejected, "organization_id"),
    "no service account": ({"client_id": "plain"}, Unauthorized, "Service accounts roles"),
    "no roles": ({"client_id": "idle"}, Forbidden, "manage-realm"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_setting_is_named(realm: Realm, wrong: str) -> None:
    settings, error, hint = WRONG[wrong]
    realm.add_client("plain", serviceAccountsEnabled=False)
    realm.add_client("idle")
    with client(realm, **settings) as guests, pytest.raises(error) as refused:
        guests.check()
    assert hint in refused.value.hint


def test_organizations_that_are_turned_off(realm: Realm) -> None:
    with client(realm) as guests:
        known = realm.organization("GET").json()
        realm.organization("PUT", json={**known, "enabled": False})
        with pytest.raises(Conflict, match="disabled"):
            guests.check()
        realm.configure(organizationsEnabled=False)
        with pytest.raises(Rejected) as refused:
            guests.check()
    assert "Turn on Organizations" in refused.value.hint


def test_roles_of_the_client(realm: Realm, version: str) -> None:
    """What the page says about the roles that a client needs."""
    new = not version.startswith("26.5")
    needed = ("manage-organizations", "view-realm", "manage-users") if new else ("manage-realm",)
    realm.add_client("needed", *needed)
    realm.add_member("bob@example.com")
    with client(realm, client_id="needed") as guests:
        guests.invite(ADA)
        assert [one.email for one in guests.members()] == ["bob@example.com"]
        assert len(list(guests.roles())) == 5
        guests.revoke(ADA)
        if new:
            guests.assign_role("bob@example.com", "editor")
        guests.remove("bob@example.com")
        assert list(guests.members()) == []


def test_an_access_token_is_replaced_after_a_401(realm: Realm) -> None:
    realm.configure(accessTokenLifespan=60)
    sent: list[httpx.Request] = []
    with httpx.Client(event_hooks={"request": [sent.append]}, trust_env=False) as http_client:
        guests = Guestlist({"kc": realm.provider()}, http_client=http_client)
        guests.check()
        realm.admin("POST", "/push-revocation")
        guests.check()
        tokens = [one for one in sent if one.url.path.endswith("/token")]
        assert len(tokens) == 1
        # Turning the service account off and on makes the server refuse its tokens.
        account = realm.admin("GET", f"/clients/{realm.client}/service-account-user").json()
        realm.admin("PUT", f"/users/{account['id']}", json={**account, "enabled": False})
        with pytest.raises(Unauthorized):
            guests.check()
        realm.admin("PUT", f"/users/{account['id']}", json={**account, "enabled": True})
        assert guests.check() == "Example Works"
