"""`invite`: making sure that a person has an open invitation or is in."""

from __future__ import annotations

from typing import Any

import pytest

from guestlist import (
    AlreadyInvited,
    AlreadyMember,
    Basis,
    Conflict,
    Forbidden,
    InvalidArgument,
    Outcome,
    Role,
    State,
    Unauthorized,
    UnknownRole,
    Unsupported,
)
from guestlist_vultr import VultrOptions

ADA = "ada@example.com"
on_vultr = pytest.mark.parametrize("case", ["vultr"], indirect=True)
on_aitronos = pytest.mark.parametrize("case", ["aitronos"], indirect=True)


def test_somebody_new(guests: Any) -> None:
    result = guests.invite(ADA)
    assert result.outcome is Outcome.INVITED
    assert result.email_sent is True
    assert result.warnings == ()
    assert result.replaced is None
    guest = result.guest
    assert (guest.account, guest.email, guest.state) == ("home", ADA, State.PENDING)
    assert guest.member is None
    (held,) = guests.invitations_of(ADA)
    assert guest.invitation.id == held["id"]
    assert guest.invitation.expires_at > guests.sandbox.clock.now()
    assert len(guests.emails(ADA)) == 1
    assert len(guests.writes) == 1


def test_the_result_and_the_status_agree(guests: Any) -> None:
    told = guests.invite(ADA).guest
    seen = guests.status(ADA)
    assert (told.state, told.invitation.id) == (seen.state, seen.invitation.id)
    assert told.invitation.expires_at == seen.invitation.expires_at


@on_vultr
def test_somebody_whom_the_user_list_shows_before_they_accept_is_no_member(guests: Any) -> None:
    guests.service.configure(pending_users="listed")
    assert guests.invite(ADA).guest.state is State.PENDING
    again = guests.invite(ADA)
    assert (again.outcome, again.guest.member) == (Outcome.ALREADY_INVITED, None)
    assert guests.invite(ADA, if_exists="resend").email_sent is True
    assert len(guests.emails(ADA)) == 2
    assert ADA not in [one.email for one in guests.members()]
    guests.accept(ADA)
    assert guests.invite(ADA).outcome is Outcome.ALREADY_MEMBER


@pytest.mark.parametrize(
    "email",
    [
        "Ada.Lovelace@Example.COM",
        "ada+news@example.com",
        "o'neil@example.com",
        "a/b?c#d%20&e=f@example.com",
        "  ada@example.com ",
    ],
)
def test_an_address_is_sent_as_typed(guests: Any, email: str) -> None:
    guests.invite(email)
    (held,) = guests.invitations_of(email.strip())
    assert held["email"] == email.strip()
    assert guests.status(email.upper()).state is State.PENDING


def test_tags_and_dots_are_other_people(guests: Any) -> None:
    for email in ("ada.l@example.com", "adal@example.com", "adal+x@example.com"):
        assert guests.invite(email).outcome is Outcome.INVITED
    assert len(guests.service.snapshot()["invitations"]) == 3


# ---------------------------------------------------------------------------- repeating


@pytest.mark.parametrize("again", [ADA, "ADA@example.com", " ada@EXAMPLE.com"])
def test_repeating_is_safe(guests: Any, again: str) -> None:
    first = guests.invite(ADA)
    guests.forget()
    second = guests.invite(again)
    assert second.outcome is Outcome.ALREADY_INVITED
    assert second.email_sent is False
    assert second.guest.invitation.id == first.guest.invitation.id
    assert guests.writes == []
    assert len(guests.emails(ADA)) == 1


SECOND = {"vultr": ("refuse", "allow"), "aitronos": ("refuse", "resend")}


@pytest.mark.parametrize("which", [0, 1])
def test_with_every_behavior_for_duplicates(guests: Any, which: int) -> None:
    guests.service.configure(duplicates=SECOND[guests.case.name][which])
    for _ in range(3):
        guests.invite(ADA)
    assert len(guests.invitations_of(ADA)) == 1
    assert len(guests.emails(ADA)) == 1


def test_a_member_is_left_alone(guests: Any) -> None:
    result = guests.invite(guests.case.member.upper())
    assert result.outcome is Outcome.ALREADY_MEMBER
    assert result.email_sent is False
    assert result.guest.state is State.ACCEPTED
    assert result.guest.member.email == guests.case.member
    assert guests.writes == []


def test_who_has_accepted_is_left_alone(guests: Any) -> None:
    guests.invite(ADA)
    guests.accept(ADA)
    assert guests.invite(ADA).outcome is Outcome.ALREADY_MEMBER
    assert len(guests.emails(ADA)) == 1


# ---------------------------------------------------------------------------- if_exists


def test_an_error_if_it_exists(guests: Any) -> None:
    assert guests.invite(ADA, if_exists="error").outcome is Outcome.INVITED
    guests.forget()
    with pytest.raises(AlreadyInvited) as caught:
        guests.invite(ADA, if_exists="error")
    assert guests.invitations_of(ADA)[0]["id"] in caught.value.message
    assert str(caught.value).startswith("home: ada@example.com has an open invitation already")
    with pytest.raises(AlreadyMember):
        guests.invite(guests.case.member, if_exists="error")
    assert guests.writes == []


def test_a_resend_if_it_exists(guests: Any) -> None:
    first = guests.invite(ADA, if_exists="resend")
    assert first.outcome is Outcome.INVITED
    guests.later(days=1)
    second = guests.invite(ADA, if_exists="resend")
    assert second.outcome is Outcome.RESENT
    assert second.email_sent is True
    assert second.replaced is None
    assert second.guest.invitation.id == first.guest.invitation.id
    assert second.guest.invitation.expires_at > first.guest.invitation.expires_at
    assert len(guests.emails(ADA)) == 2
    member = guests.invite(guests.case.member, if_exists="resend")
    assert member.outcome is Outcome.ALREADY_MEMBER


@on_aitronos
def test_another_one_if_it_exists(guests: Any) -> None:
    first = guests.invite(ADA, if_exists="replace")
    assert first.outcome is Outcome.INVITED
    assert first.replaced is None
    second = guests.invite(ADA, role="Admin", if_exists="replace")
    assert second.outcome is Outcome.INVITED
    assert second.replaced.id == first.guest.invitation.id
    assert second.guest.invitation.id != first.guest.invitation.id
    assert second.role_applied is True
    assert [one["state"] for one in guests.invitations_of(ADA)] == ["revoked", "pending"]
    member = guests.invite(guests.case.member, if_exists="replace")
    assert member.outcome is Outcome.ALREADY_MEMBER
    assert guests.is_member(guests.case.member)


@on_aitronos
def test_a_replacement_that_is_refused_says_that_the_old_one_is_gone(guests: Any) -> None:
    guests.invite(ADA)
    nowhere = Role(id="role_nowhere", name="Nowhere")
    with pytest.raises(Exception, match="Role") as caught:
        guests.invite(ADA, role=nowhere, if_exists="replace")
    assert "The earlier invitation is revoked already." in str(caught.value)
    assert guests.status(ADA).state is State.GONE


@on_vultr
def test_what_cannot_be_revoked_cannot_be_replaced(guests: Any) -> None:
    guests.invite(ADA)
    guests.forget()
    with pytest.raises(Unsupported, match="offers no way to revoke") as caught:
        guests.invite(ADA, if_exists="replace")
    assert "expire" in caught.value.hint
    assert guests.requests == []


# ---------------------------------------------------------------------------- what has ended


def test_an_expired_one_counts_as_absent(guests: Any) -> None:
    guests.invite(ADA)
    guests.later(days=8)
    assert guests.status(ADA).state is State.EXPIRED
    result = guests.invite(ADA)
    assert result.outcome in (Outcome.INVITED, Outcome.RESENT)
    assert result.guest.state is State.PENDING
    assert len(guests.emails(ADA)) == 2
    assert guests.status(ADA).state is State.PENDING


@on_aitronos
def test_a_revoked_one_counts_as_absent(guests: Any) -> None:
    guests.invite(ADA)
    guests.revoke(ADA)
    assert guests.invite(ADA).outcome is Outcome.INVITED


def test_who_was_removed_can_come_back(guests: Any) -> None:
    guests.invite(ADA)
    guests.accept(ADA)
    guests.remove(ADA)
    result = guests.invite(ADA)
    assert result.outcome is Outcome.INVITED
    guests.accept(ADA)
    assert guests.status(ADA).state is State.ACCEPTED


# ---------------------------------------------------------------------------- roles


@on_aitronos
@pytest.mark.parametrize("role", ["Admin", "admin", "role:Admin", "role:admin"])
def test_a_role_by_name(guests: Any, role: str) -> None:
    result = guests.invite(ADA, role=role)
    assert result.role_applied is True
    (offered,) = result.guest.invitation.roles
    assert offered.name == "Admin"
    guests.accept(ADA)
    assert guests.status(ADA).member.roles[0].name == "Admin"


@on_aitronos
def test_a_role_by_id_or_value(guests: Any) -> None:
    admin = next(role for role in guests.roles() if role.name == "Admin")
    for n, role in enumerate((admin, admin.id, [admin], (admin.id,))):
        assert guests.invite(f"{n}@example.com", role=role).role_applied is True


@on_aitronos
def test_a_role_that_the_open_invitation_does_not_offer_is_reported(guests: Any) -> None:
    guests.invite(ADA, role="Member")
    result = guests.invite(ADA, role="Admin")
    assert result.outcome is Outcome.ALREADY_INVITED
    assert result.role_applied is False
    assert "differs from the role asked for" in result.warnings[0]
    member = guests.invite(guests.case.member, role="Admin")
    assert member.role_applied is False
    assert member.warnings


@on_aitronos
@pytest.mark.parametrize(
    ("role", "kind", "told"),
    [
        ("Adminn", UnknownRole, "The nearest are: Admin."),
        ("zzz", UnknownRole, "There are: Owner, Admin"),
        ("", UnknownRole, "there is no role ''"),
        ("group:Admin", UnknownRole, "there is no role 'group:Admin'"),
        (None, InvalidArgument, "needs a role"),
        ([], InvalidArgument, "needs a role"),
        (["Admin", "Member"], Unsupported, "takes 1 role"),
    ],
)
def test_roles_that_cannot_be(guests: Any, role: Any, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match="home: ") as caught:
        guests.invite(ADA, role=role)
    assert told in str(caught.value)
    assert guests.writes == []


@on_aitronos
def test_an_unknown_role_costs_one_reading_of_the_roles(guests: Any) -> None:
    with pytest.raises(UnknownRole):
        guests.invite(ADA, role="zzz")
    assert len(guests.requests) == 1


@on_aitronos
def test_the_roles_are_read_once_for_many(guests: Any) -> None:
    for n in range(5):
        guests.invite(f"{n}@example.com")
    assert sum(one.endswith("/roles") for one in guests.requests) == 1


@on_aitronos
def test_a_role_that_is_new_is_found_all_the_same(guests: Any) -> None:
    guests.invite(ADA)
    guests.service.organization.add_role("Brand new")
    guests.later(seconds=1)
    assert guests.invite("bob@example.com", role="Brand new").role_applied is True


@on_vultr
@pytest.mark.parametrize("role", ["Support Engineer", Role(id="r1"), ["a", "b"]], ids=str)
def test_a_role_that_the_service_cannot_take(guests: Any, role: Any) -> None:
    with pytest.raises(Unsupported, match="takes no role at invitation time") as caught:
        guests.invite(ADA, role=role)
    assert "assign_role" in caught.value.hint
    assert guests.requests == []


# ---------------------------------------------------------------------------- mail and options


@on_aitronos
def test_without_an_email(guests: Any) -> None:
    result = guests.invite(ADA, send_email=False)
    assert result.outcome is Outcome.INVITED
    assert result.email_sent is False
    assert guests.emails(ADA) == []


@on_vultr
def test_an_email_that_cannot_be_suppressed(guests: Any) -> None:
    with pytest.raises(Unsupported, match="no way to suppress the email"):
        guests.invite(ADA, send_email=False)
    assert guests.requests == []


@on_vultr
@pytest.mark.parametrize("boolean", ["words", "json"])
@pytest.mark.parametrize("options", [{"api_enabled": True}, VultrOptions(api_enabled=True)])
def test_options(make: Any, boolean: str, options: Any) -> None:
    guests = make(settings={"boolean": boolean})
    guests.invite(ADA, options=options)
    assert guests.service.organization.shown_invitations()[-1].fields["api_enabled"] is True


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"api_enable": True}, "there is no option 'api_enable'"),
        ({"nonsense": 1}, "there is no option 'nonsense'"),
    ],
)
def test_options_that_there_are_not(guests: Any, options: Any, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told) as caught:
        guests.invite(ADA, options=options)
    assert "The options are: " in caught.value.hint
    assert guests.requests == []


@on_vultr
def test_an_option_with_a_value_that_cannot_be(guests: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"option api_enabled: it has to be yes or no"):
        guests.invite(ADA, options={"api_enabled": "perhaps"})
    assert guests.requests == []


@on_aitronos
def test_options_of_another_service(guests: Any) -> None:
    with pytest.raises(InvalidArgument, match="VultrOptions are not the options of Aitronos"):
        guests.invite(ADA, options=VultrOptions())
    assert guests.requests == []


# ---------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("email", ["", "ada", "ada@", "@example.com", "a b@example.com", "a\n@b.c"])
def test_no_address(guests: Any, email: str) -> None:
    with pytest.raises(InvalidArgument, match=r"home: .*is not an email address"):
        guests.invite(email)
    assert guests.requests == []


def test_no_such_way(guests: Any) -> None:
    with pytest.raises(InvalidArgument, match="if_exists cannot be 'ignore'"):
        guests.invite(ADA, if_exists="ignore")
    assert guests.requests == []


def test_a_wrong_key(make: Any) -> None:
    guests = make(settings={"api_key": "wrong-key-123456"})
    with pytest.raises(Unauthorized, match="home: ") as caught:
        guests.invite(ADA)
    assert caught.value.happened is False
    assert "wrong-key" not in str(caught.value)


def test_a_key_that_may_only_read(make: Any, case: Any, sandbox: Any) -> None:
    settings = sandbox.services[case.name].read_only_settings
    guests = make(settings={"api_key": settings["api_key"]})
    with pytest.raises(Forbidden, match="home: ") as caught:
        guests.invite(ADA)
    assert caught.value.happened is False
    assert guests.emails(ADA) == []
    assert caught.value.hint


# ---------------------------------------------------------------------------- what it tells


def test_the_outcome_of_invite_is_an_event(guests: Any) -> None:
    guests.invite(ADA)
    (outcome,) = [event for event in guests.events if event.name == "outcome"]
    assert (outcome.email, outcome.detail, outcome.account) == (ADA, "invited", "home")


@on_vultr
def test_estimated_dates_are_marked(guests: Any) -> None:
    invitation = guests.invite(ADA).guest.invitation
    assert invitation.estimated <= {"created_at", "expires_at"}


@on_aitronos
@pytest.mark.parametrize("profile", ["crew", "organizations"])
def test_dates_that_an_answer_lacks_are_estimated(guests: Any, profile: str) -> None:
    guests.service.configure(profile=profile)
    told = guests.invite(ADA).guest.invitation
    held = guests.status(ADA).invitation
    assert abs((told.expires_at - held.expires_at).total_seconds()) < 1
    assert held.estimated == frozenset()


def test_basis(guests: Any) -> None:
    assert guests.invite(ADA).guest.basis is Basis.REPORTED
    assert isinstance(AlreadyInvited("x"), Conflict)
