"""Rules about `invite`."""

from __future__ import annotations

import unicodedata
from contextlib import suppress

import pytest
from pydantic import ValidationError

from guestlist import errors
from guestlist.address import email_key
from guestlist.errors import GuestlistError
from guestlist.models import (
    Invitation,
    Outcome,
    State,
)
from guestlist.provider import NEVER
from pytest_guestlist.conformance.base import ProviderRules
from pytest_guestlist.conformance.harness import HOUR, MINUTE, Harness
from pytest_guestlist.conformance.wires import RefusingWire

TEXTS = (
    "zugzwang",
    "1729",
    "00000000-0000-4000-8000-000000001729",
    "https://zugzwang.example/",
    "zugzwang@example.com",
)
"""Texts of several forms, because an option may require one of them."""


class InvitingRules(ProviderRules):
    """Rules about `invite`.

    Attributes:
        options_are_shown: whether the service shows the options that an invitation was made with.
    """

    options_are_shown = True

    def test_invite_makes_a_pending_invitation(self, harness: Harness) -> None:
        """An address that the service has not seen is invited: outcome invited, state pending,
        one email, and the invitation has the address, an id and dates that make sense. If people
        join at once: outcome joined, state accepted, and the member has the address.

        Likely cause: The wrong part of the answer is read, dates are exchanged, or the service's
        word for open invitations is missing in the table of states.
        """
        result = harness.invite("ada")
        one = result.guest.invitation
        now = harness.backend.clock.now()
        if harness.joins_at_once:
            member = result.guest.member
            harness.check(
                result.outcome is Outcome.JOINED
                and result.guest.state is State.ACCEPTED
                and member is not None
                and email_key(member.email) == email_key(harness.address("ada")),
                expected="joined, accepted, with the address",
                got=result,
                look_at="invite",
            )
            return
        good = (
            result.outcome is Outcome.INVITED
            and result.guest.state is State.PENDING
            and one is not None
            and email_key(one.email) == email_key(harness.address("ada"))
            and one.id != ""
            and (one.created_at is None or abs(one.created_at - now) < 2 * MINUTE)
            and (one.expires_at is None or one.expires_at > now)
        )
        harness.check(
            good,
            expected="invited, pending, dates around now",
            got=result,
            look_at="invite",
        )
        harness.expect_emails(harness.address("ada"), 1, "invite")

    def test_address_is_sent_as_typed(self, harness: Harness) -> None:
        """The address goes to the service as it was typed.

        Likely cause: The address is changed before it is sent, such as by `lower()`.
        """
        typed = harness.address("Ada.Byron")
        required_arguments = harness.required_arguments()
        harness.forget()
        harness.guests.invite(typed, **required_arguments)
        sent = [f"{one.json} {one.form} {one.query}" for one in harness.changes()]
        harness.check(
            any(typed in one for one in sent),
            expected=typed,
            got=sent,
            look_at="invite",
        )

    def test_lifetime_is_what_the_service_says(self, harness: Harness) -> None:
        """`lifetime` is as long as the invitations of the service really live.

        Likely cause: `lifetime` is wrong, or the expiry is read from another field.
        """
        one = harness.invitation("ada")
        if harness.provider.lifetime is None or "expires_at" in one.estimated:
            pytest.skip("the expiry is not given by the service, or `lifetime` not by the provider")
        if harness.provider.lifetime == NEVER:
            harness.check(
                one.expires_at is None, expected="no expiry", got=one, look_at="lifetime invite"
            )
            return
        if one.created_at is None or one.expires_at is None:
            pytest.skip("the service does not give the dates")
        harness.check(
            abs(one.expires_at - one.created_at - harness.provider.lifetime) < HOUR,
            expected=harness.provider.lifetime,
            got=one.expires_at - one.created_at,
            look_at="lifetime invite",
        )

    def test_invitation_names_the_role(self, harness: Harness) -> None:
        """The requested role is the role of the invitation, and of the member after it.

        Likely cause: The request leaves the role out or names it in another way, or the roles of
        invitations or members are not read.
        """
        role = harness.role()
        if role is None:
            pytest.skip("an invitation takes no role here")
        result = harness.invite("ada", role=role)
        one = result.guest.invitation
        named = [role.id for role in one.roles] if one else []
        harness.check(
            result.role_applied is not False and (not named or named == [role.id]),
            expected=role,
            got=result,
            look_at="invite",
        )
        found = harness.status("ada").invitation
        harness.check(
            found is None or not found.roles or [r.id for r in found.roles] == [role.id],
            expected=role,
            got=found,
            look_at="find_invitation invitations",
        )
        member = harness.accept(one)
        held = (
            [grant.role.id for grant in harness.guests.access(member).grants]
            if harness.provider.supports("access")
            else [held.id for held in member.roles or ()]
        )
        harness.check(
            role.id in held,
            expected=f"a member with {role.label}",
            got=held,
            look_at="invite members access",
        )

    def test_several_roles(self, harness: Harness) -> None:
        """If an invitation takes several roles, it offers all of them, and the member holds them.

        Likely cause: Only the first of `new.roles` is sent or read.
        """
        first = harness.role()
        if first is None or harness.provider.most_roles == 1:
            pytest.skip("an invitation takes no second role here")
        fits = [
            role
            for role in harness.assignable_roles()
            if role.id != first.id
            and not harness.provider.replaced_by(role, [first])
            and not harness.provider.split_roles((first, role))[1]
        ]
        if not fits:
            pytest.skip("an invitation takes no second role here")
        wanted = {first.id, fits[-1].id}
        one = harness.invite("ada", role=sorted(wanted)).guest.invitation
        harness.check(
            one is None or not one.roles or {role.id for role in one.roles} == wanted,
            expected=wanted,
            got=one,
            look_at="invite",
        )
        member = harness.accept(one)
        harness.check(
            member.roles is None or {role.id for role in member.roles} == wanted,
            expected=wanted,
            got=member,
            look_at="members find_member",
        )

    def test_another_role_is_not_taken_for_the_first(self, harness: Harness) -> None:
        """Two people invited with two roles get these two roles.

        Likely cause: The role in the request is a constant or the default.
        """
        first = harness.role()
        if first is None:
            pytest.skip("an invitation takes no role here")
        second = harness.another_role(offered=True)
        harness.invite("ada", role=first)
        result = harness.invite("bob", role=second)
        one = result.guest.invitation
        harness.check(
            result.role_applied is not False
            and one is not None
            and (not one.roles or [role.id for role in one.roles] == [second.id]),
            expected=second,
            got=result,
            look_at="invite",
        )

    def test_invite_twice_is_once(self, harness: Harness) -> None:
        """A second call does not invite again: already invited or a member, the same record, one
        email.

        Likely cause: A lookup does not find the record, or finds another one.
        """
        first = harness.invite("ada").guest
        again = harness.invite("ada")
        ids = [
            (one.member if harness.joins_at_once else one.invitation)
            for one in (first, again.guest)
        ]
        harness.check(
            again.outcome is harness.already
            and None not in ids
            and len({one.id for one in ids if one}) == 1,
            expected=f"{harness.already}, {ids[0]}",
            got=again,
            look_at="find_invitation invitations",
        )
        harness.expect_emails(harness.address("ada"), 1, "invite")

    @pytest.mark.parametrize("way", ["upper case", "title case", "spaces"])
    def test_spelling_of_an_address(self, harness: Harness, way: str) -> None:
        """All spellings of an address are one person: no second invitation, no second email.

        Likely cause: Addresses are compared as they are. Use `email_key`, or let guestlist search
        the list.
        """
        typed = harness.address("ada.byron")
        other = {"upper case": typed.upper(), "title case": typed.title(), "spaces": f" {typed} "}
        harness.guests.invite(typed, **harness.required_arguments())
        again = harness.guests.invite(other[way], **harness.required_arguments())
        harness.check(
            again.outcome is harness.already,
            expected=harness.already,
            got=again,
            look_at="find_invitation invitations",
        )
        harness.expect_emails(typed, 1, "find_invitation invitations")
        look_at = "find_invitation invitations find_member members"
        harness.expect_state(other[way], harness.state_after_invite, look_at=look_at)

    def test_spelling_of_a_member(self, harness: Harness) -> None:
        """A member who joined as ada@ is a member also as ADA@.

        Likely cause: Addresses are compared as they are. Use `email_key`, or let guestlist search
        the list.
        """
        harness.member("ada")
        harness.expect_state(
            harness.address("ada").upper(), State.ACCEPTED, look_at="find_member members"
        )

    def test_upper_case_invitation_is_found(self, harness: Harness) -> None:
        """An address invited in capitals is found in small letters, before and after joining.

        Likely cause: The service compares addresses exactly, and the search sends another spelling
        than that of the record.
        """
        typed = harness.address("ada").upper()
        one = harness.guests.invite(typed, **harness.required_arguments()).guest.invitation
        if not harness.joins_at_once:
            harness.expect_state(
                typed.lower(), State.PENDING, look_at="find_invitation invitations"
            )
            harness.accept(one)
        harness.expect_state(typed.lower(), State.ACCEPTED, look_at="find_member members")

    def test_plus_address_is_another_person(self, harness: Harness) -> None:
        """ada+team@ and ada@ are two people: each gets an invitation and an email.

        Likely cause: The part after the plus sign is cut off, or the address is put into a query
        without being encoded.
        """
        plain, tagged = harness.address("ada"), harness.address("ada+team")
        results = [
            harness.guests.invite(one, **harness.required_arguments()) for one in (plain, tagged)
        ]
        harness.check(
            [one.outcome for one in results] == [harness.invited] * 2,
            expected=f"{harness.invited}, {harness.invited}",
            got=[one.outcome for one in results],
            look_at="find_invitation invitations invite",
        )
        for address in (plain, tagged):
            guest = harness.guests.status(address)
            found = guest.member if harness.joins_at_once else guest.invitation
            harness.check(
                found is not None and email_key(found.email) == email_key(address),
                expected=address,
                got=found,
                look_at="find_invitation invitations find_member members",
            )
            harness.expect_emails(address, 1, "invite")

    def test_part_of_an_address_is_nobody(self, harness: Harness) -> None:
        """An address that is part of an invited one, or contains it, is another person.

        Likely cause: The service searches for parts of an address, and its first record is taken
        without comparing it.
        """
        harness.member("zoe.ada")
        harness.invite("bob.ada")
        for name in ("ada", "zoe.ada2", "b.ada"):
            found = harness.status(name)
            harness.check(
                found.state is harness.absent_state
                and found.member is None
                and found.invitation is None,
                expected=f"{harness.address(name)} is {harness.absent_state}",
                got=found,
                look_at="find_member find_invitation",
            )

    def test_unicode_address(self, harness: Harness) -> None:
        """An address with letters beyond ASCII is invited and found again, or refused by the
        service: never mangled.

        Likely cause: The address is encoded or normalized before it is sent.
        """
        composed = unicodedata.normalize("NFC", harness.address("jo\u0308rg"))
        try:
            harness.guests.invite(composed, **harness.required_arguments())
        except errors.Rejected:
            return
        look_at = "find_invitation invitations find_member members"
        harness.expect_state(composed, harness.state_after_invite, look_at=look_at)

    def test_invite_a_member(self, harness: Harness) -> None:
        """Inviting a member changes nothing: already a member, no email.

        Likely cause: The member is not found by the address, and the service invites members.
        """
        harness.member("ada")
        before = harness.backend.emails(harness.address("ada"))
        result = harness.invite("ada")
        harness.check(
            result.outcome is Outcome.ALREADY_MEMBER and result.guest.state is State.ACCEPTED,
            expected="already_member",
            got=result,
            look_at="members find_member",
        )
        harness.expect_emails(harness.address("ada"), before, "members find_member")

    def test_if_exists_error(self, harness: Harness) -> None:
        """With `if_exists="error"`, an open invitation and a member are errors of their own.

        Likely cause: The open invitation or the member is not found by the address.
        """
        if not harness.joins_at_once:
            harness.invitation("ada")
            with harness.expect_error(
                errors.AlreadyInvited, look_at="find_invitation invitations", tried=True
            ):
                harness.invite("ada", if_exists="error")
        harness.member("bob")
        with harness.expect_error(errors.AlreadyMember, look_at="find_member members", tried=True):
            harness.invite("bob", if_exists="error")

    def test_if_exists_resend(self, harness: Harness) -> None:
        """With `if_exists="resend"`, an open invitation is sent again, once.

        Likely cause: `resend` fails, or sends no email.
        """
        if not harness.provider.supports("resend"):
            harness.require("revoke")
        harness.invitation("ada")
        result = harness.invite("ada", if_exists="resend")
        harness.check(
            result.outcome is Outcome.RESENT,
            expected="resent",
            got=result,
            look_at="resend",
        )
        harness.expect_emails(harness.address("ada"), 2, "resend")

    def test_if_exists_replace(self, harness: Harness) -> None:
        """With `if_exists="replace"`, the old invitation is withdrawn and a new one made.

        Likely cause: `revoke` or `invite` fails, or a lookup still finds the old invitation.
        """
        harness.require("revoke")
        old = harness.invitation("ada")
        result = harness.invite("ada", if_exists="replace")
        new = result.guest.invitation
        harness.check(
            result.outcome is Outcome.INVITED and result.replaced is not None and new is not None,
            expected=f"another than {old.id}",
            got=result,
            look_at="revoke invite",
        )
        look_at = "revoke find_invitation invitations"
        harness.expect_state(harness.address("ada"), State.PENDING, look_at=look_at)

    def test_change_invitation(self, harness: Harness) -> None:
        """`change_invitation` makes an open invitation offer other roles, which are granted at
        acceptance, and sends no email. `assign_role` uses it for invited people.

        Likely cause: The request adds the roles to the old ones, or creates another invitation.
        """
        harness.require("change_invitation", "assign_role")
        old, address = harness.invitation("ada"), harness.address("ada")
        emails = harness.backend.emails(address)
        role = harness.another_role(old.roles, offered=True)
        harness.guests.assign_role(address, role)
        harness.expect_emails(address, emails, "change_invitation")
        new = harness.status("ada").invitation
        harness.check(
            new is not None and role.id in {one.id for one in new.roles},
            expected=f"an open invitation that offers {role.label}",
            got=new,
            look_at="change_invitation invitations find_invitation",
        )
        member = harness.accept(old if new is None else new)
        harness.check(
            member.roles is None or role in member.roles,
            expected=f"a member with {role.label}",
            got=member,
            look_at="change_invitation",
        )

    def test_conflict_on_creation_is_explained(self, harness: Harness) -> None:
        """If the service refuses a duplicate, the error is Conflict: guestlist then looks it up,
        and does not invite again. `refuses_duplicates` may be true only if the service refuses.

        Likely cause: `explain` does not turn the service's refusal of a duplicate into Conflict, or
        `refuses_duplicates` is declared although the service invites twice.
        """
        harness.require("invite")
        new = harness.new_invitation("ada")
        harness.run(harness.provider.invite(new))
        before = harness.backend.emails(new.email)
        try:
            harness.run(harness.provider.invite(new))
        except GuestlistError as error:
            harness.check(
                isinstance(error, errors.Conflict),
                expected="Conflict",
                got=repr(error),
                look_at="explain refuses_duplicates",
            )
            harness.expect_emails(new.email, before, "explain")
        else:
            harness.check(
                not harness.provider.refuses_duplicates,
                expected="Conflict, as refuses_duplicates says",
                got="a second invitation",
                look_at="refuses_duplicates",
            )

    def test_result_of_invite_is_what_a_look_finds(self, harness: Harness) -> None:
        """`invite` and a lookup after it return the same invitation.

        Likely cause: `invite` and the lookup read different fields, or answers of different shapes,
        with the same code.
        """
        made = harness.invitation("ada")
        found = harness.status("ada").invitation
        harness.check(
            found is not None
            and found.id == made.id
            and email_key(found.email) == email_key(made.email)
            and (
                "expires_at" in made.estimated | found.estimated
                or found.expires_at == made.expires_at
            ),
            expected=made,
            got=found,
            look_at="invite find_invitation invitations",
        )
        if harness.provider.supports("get_invitation") and made.id is not None:
            read = harness.run(harness.provider.get_invitation(made.id))
            harness.check(
                read.id == made.id and read.state is State.PENDING,
                expected=made,
                got=read,
                look_at="get_invitation",
            )

    def test_order_once_more_keeps_its_options(self, harness: Harness, option: str) -> None:
        """`copy_of` returns what the invitation was made from, with its options. A person who is
        invited again after an expiry gets the same.

        Likely cause: `copy_of` is not overridden, or leaves the option out.
        """
        harness.require("invite")
        if not self.options_are_shown:
            pytest.skip("the service does not show the options of an invitation")
        usual = harness.provider.Options()
        other = usual.model_copy(update={option: not getattr(usual, option)})
        for who, options in (("ada", usual), ("bob", other)):
            new = harness.new_invitation(who).model_copy(update={"options": options})
            invited = harness.run(harness.provider.invite(new))
            if isinstance(invited, Invitation):
                got = harness.provider.copy_of(invited).options
                harness.check(got == options, expected=options, got=got, look_at="copy_of")

    def test_text_option_is_sent(self, harness: Harness, text_option: str) -> None:
        """The value of an option is sent to the service.

        Likely cause: `invite` does not use the option.
        """
        harness.require("invite")
        new, kind = harness.new_invitation("ada"), harness.provider.Options
        for text in TEXTS:
            try:
                options = kind(**{text_option: text})
            except ValidationError:
                continue
            harness.forget()
            with suppress(GuestlistError):  # what matters is that it was sent
                harness.run(harness.provider.invite(new.model_copy(update={"options": options})))
            asked = [request for request, _ in harness.spy.requests]
            sent = [f"{one} {one.query} {one.json} {one.form}" for one in asked]
            harness.check(
                any(text in one for one in sent),
                expected=f"{text_option}={text!r} in a request",
                got=sent,
                look_at="invite Options",
            )
            return
        pytest.skip(f"{text_option} takes none of {', '.join(TEXTS)}")

    def test_interrupted_invite_is_completed(self, harness: Harness) -> None:
        """If only the first request of `invite` takes effect, the email is sent by the next call,
        and only once.

        Likely cause: The first request creates a record without an email, and is not marked with
        `Effect.PREPARE`; or `invite` does not go on with a record that is already there.
        """
        harness.require("invite")
        harness.roles()
        wire = harness.wire.wire
        harness.wire.wire = RefusingWire(wire, harness.is_reading, passes=1)
        with suppress(GuestlistError):
            harness.invite("ada")
        harness.wire.wire = wire
        harness.invite("ada")
        harness.expect_emails(harness.address("ada"), 1, "invite")

    def test_lost_answer_of_invite(self, harness: Harness) -> None:
        """If the answer is lost, a lookup finds the invitation or member, and there is only one.

        Likely cause: A lookup does not find the record, or its `created_at` is not the time of the
        request.
        """
        harness.require("invite")
        harness.roles()
        harness.lose_next_answer()
        result = harness.invite("ada")
        harness.check(
            result.outcome is harness.invited and result.guest.state is harness.state_after_invite,
            expected=harness.invited,
            got=result,
            look_at="invite find_invitation invitations find_member members",
        )
        harness.expect_emails(harness.address("ada"), 1, "invite")
