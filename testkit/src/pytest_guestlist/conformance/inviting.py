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
from pytest_guestlist.conformance.base import Rules
from pytest_guestlist.conformance.scene import HOUR, MINUTE, Scene

TEXTS = (
    "zugzwang",
    "1729",
    "00000000-0000-4000-8000-000000001729",
    "https://zugzwang.example/",
    "zugzwang@example.com",
)
"""What the text of an option may have to be like."""


class Inviting(Rules):
    """`invite`.

    Attributes:
        options_are_shown: whether the service shows the options that an invitation was made with.
    """

    options_are_shown = True

    def test_invite_makes_a_pending_invitation(self, scene: Scene) -> None:
        """An address that the service has not seen is invited: outcome invited, state pending,
        one email, and the invitation has the address, an id and dates that make sense. If people
        join at once: outcome joined, state accepted, and the member has the address.

        Likely cause: The wrong part of the answer is read, dates are exchanged, or the service's
        word for open invitations is missing in the table of states.
        """
        result = scene.invite("ada")
        one = result.guest.invitation
        now = scene.setting.clock.now()
        if scene.joins_at_once:
            member = result.guest.member
            scene.check(
                result.outcome is Outcome.JOINED
                and result.guest.state is State.ACCEPTED
                and member is not None
                and email_key(member.email) == email_key(scene.address("ada")),
                expected="joined, accepted, with the address",
                came=result,
                look_at="invite",
            )
            return
        good = (
            result.outcome is Outcome.INVITED
            and result.guest.state is State.PENDING
            and one is not None
            and email_key(one.email) == email_key(scene.address("ada"))
            and one.id != ""
            and (one.created_at is None or abs(one.created_at - now) < 2 * MINUTE)
            and (one.expires_at is None or one.expires_at > now)
        )
        scene.check(
            good,
            expected="invited, pending, dates around now",
            came=result,
            look_at="invite",
        )
        scene.mailed(scene.address("ada"), 1, "invite")

    def test_address_is_sent_as_typed(self, scene: Scene) -> None:
        """The address goes to the service as it was typed.

        Likely cause: The address is changed before it is sent, such as by `lower()`.
        """
        typed = scene.address("Ada.Byron")
        terms = scene.terms()
        scene.forget()
        scene.guests.invite(typed, **terms)
        sent = [f"{one.json} {one.form} {one.query}" for one in scene.changes()]
        scene.check(
            any(typed in one for one in sent),
            expected=typed,
            came=sent,
            look_at="invite",
        )

    def test_lifetime_is_what_the_service_says(self, scene: Scene) -> None:
        """`lifetime` is as long as the invitations of the service really live.

        Likely cause: `lifetime` is wrong, or the expiry is read from another field.
        """
        one = scene.invitation("ada")
        if scene.provider.lifetime is None or "expires_at" in one.estimated:
            pytest.skip("the service or the provider does not tell")
        if scene.provider.lifetime == NEVER:
            scene.check(
                one.expires_at is None, expected="no expiry", came=one, look_at="lifetime invite"
            )
            return
        if one.created_at is None or one.expires_at is None:
            pytest.skip("the service does not tell")
        scene.check(
            abs(one.expires_at - one.created_at - scene.provider.lifetime) < HOUR,
            expected=scene.provider.lifetime,
            came=one.expires_at - one.created_at,
            look_at="lifetime invite",
        )

    def test_invitation_names_the_role(self, scene: Scene) -> None:
        """The requested role is the role of the invitation, and of the member after it.

        Likely cause: The request leaves the role out or names it in another way, or the roles of
        invitations or members are not read.
        """
        role = scene.role()
        if role is None:
            pytest.skip("an invitation takes no role here")
        result = scene.invite("ada", role=role)
        one = result.guest.invitation
        named = [role.id for role in one.roles] if one else []
        scene.check(
            result.role_applied is not False and (not named or named == [role.id]),
            expected=role,
            came=result,
            look_at="invite",
        )
        found = scene.status("ada").invitation
        scene.check(
            found is None or not found.roles or [r.id for r in found.roles] == [role.id],
            expected=role,
            came=found,
            look_at="find_invitation invitations",
        )
        member = scene.accept(one)
        held = (
            [grant.role.id for grant in scene.guests.access(member).grants]
            if scene.provider.supports("access")
            else [held.id for held in member.roles or ()]
        )
        scene.check(
            role.id in held,
            expected=f"a member with {role.label}",
            came=held,
            look_at="invite members access",
        )

    def test_several_roles(self, scene: Scene) -> None:
        """Where an invitation takes several roles, all of them are offered, and held after it.

        Likely cause: Only the first of `new.roles` is sent or read.
        """
        first = scene.role()
        if first is None or scene.provider.most_roles == 1:
            pytest.skip("an invitation takes no second role here")
        fits = [
            role
            for role in scene.assignable_roles()
            if role.id != first.id
            and not scene.provider.replaced_by(role, [first])
            and not scene.provider.split_roles((first, role))[1]
        ]
        if not fits:
            pytest.skip("an invitation takes no second role here")
        wanted = {first.id, fits[-1].id}
        one = scene.invite("ada", role=sorted(wanted)).guest.invitation
        scene.check(
            one is None or not one.roles or {role.id for role in one.roles} == wanted,
            expected=wanted,
            came=one,
            look_at="invite",
        )
        member = scene.accept(one)
        scene.check(
            member.roles is None or {role.id for role in member.roles} == wanted,
            expected=wanted,
            came=member,
            look_at="members find_member",
        )

    def test_another_role_is_not_taken_for_the_first(self, scene: Scene) -> None:
        """Two people invited with two roles get these two roles.

        Likely cause: The role in the request is a constant or the default.
        """
        first = scene.role()
        if first is None:
            pytest.skip("an invitation takes no role here")
        second = scene.another_role(offered=True)
        scene.invite("ada", role=first)
        result = scene.invite("bob", role=second)
        one = result.guest.invitation
        scene.check(
            result.role_applied is not False
            and one is not None
            and (not one.roles or [role.id for role in one.roles] == [second.id]),
            expected=second,
            came=result,
            look_at="invite",
        )

    def test_invite_twice_is_once(self, scene: Scene) -> None:
        """A second call invites nobody again: already invited or in, the same record, one mail.

        Likely cause: A look does not find the record, or finds another one.
        """
        first = scene.invite("ada").guest
        again = scene.invite("ada")
        ids = [
            (one.member if scene.joins_at_once else one.invitation) for one in (first, again.guest)
        ]
        scene.check(
            again.outcome is scene.already
            and None not in ids
            and len({one.id for one in ids if one}) == 1,
            expected=f"{scene.already}, {ids[0]}",
            came=again,
            look_at="find_invitation invitations",
        )
        scene.mailed(scene.address("ada"), 1, "invite")

    @pytest.mark.parametrize("way", ["upper case", "title case", "spaces"])
    def test_spelling_of_an_address(self, scene: Scene, way: str) -> None:
        """However an address is spelt, it is one person: no second invitation, no second mail.

        Likely cause: Addresses are compared as they are. Use `email_key`, or let guestlist search
        the list.
        """
        typed = scene.address("ada.byron")
        other = {"upper case": typed.upper(), "title case": typed.title(), "spaces": f" {typed} "}
        scene.guests.invite(typed, **scene.terms())
        again = scene.guests.invite(other[way], **scene.terms())
        scene.check(
            again.outcome is scene.already,
            expected=scene.already,
            came=again,
            look_at="find_invitation invitations",
        )
        scene.mailed(typed, 1, "find_invitation invitations")
        look_at = "find_invitation invitations find_member members"
        scene.stands(other[way], scene.state_after_invite, look_at=look_at)

    def test_spelling_of_a_member(self, scene: Scene) -> None:
        """A member who joined as ada@ is a member also as ADA@.

        Likely cause: Addresses are compared as they are. Use `email_key`, or let guestlist search
        the list.
        """
        scene.member("ada")
        scene.stands(scene.address("ada").upper(), State.ACCEPTED, look_at="find_member members")

    def test_upper_case_invitation_is_found(self, scene: Scene) -> None:
        """An address invited in capitals is found in small letters, before and after joining.

        Likely cause: The service compares addresses exactly, and the search sends another spelling
        than that of the record.
        """
        typed = scene.address("ada").upper()
        one = scene.guests.invite(typed, **scene.terms()).guest.invitation
        if not scene.joins_at_once:
            scene.stands(typed.lower(), State.PENDING, look_at="find_invitation invitations")
            scene.accept(one)
        scene.stands(typed.lower(), State.ACCEPTED, look_at="find_member members")

    def test_plus_address_is_another_person(self, scene: Scene) -> None:
        """ada+team@ and ada@ are two people: each gets an invitation and an email.

        Likely cause: The part after the plus sign is cut off, or the address is put into a query
        without being encoded.
        """
        plain, tagged = scene.address("ada"), scene.address("ada+team")
        results = [scene.guests.invite(one, **scene.terms()) for one in (plain, tagged)]
        scene.check(
            [one.outcome for one in results] == [scene.invited] * 2,
            expected=f"{scene.invited}, {scene.invited}",
            came=[one.outcome for one in results],
            look_at="find_invitation invitations invite",
        )
        for address in (plain, tagged):
            guest = scene.guests.status(address)
            found = guest.member if scene.joins_at_once else guest.invitation
            scene.check(
                found is not None and email_key(found.email) == email_key(address),
                expected=address,
                came=found,
                look_at="find_invitation invitations find_member members",
            )
            scene.mailed(address, 1, "invite")

    def test_part_of_an_address_is_nobody(self, scene: Scene) -> None:
        """An address that is part of an invited one, or contains it, is another person.

        Likely cause: The service searches for parts of an address, and its first record is taken
        without comparing it.
        """
        scene.member("zoe.ada")
        scene.invite("bob.ada")
        for name in ("ada", "zoe.ada2", "b.ada"):
            found = scene.status(name)
            scene.check(
                found.state is scene.absent and found.member is None and found.invitation is None,
                expected=f"{scene.address(name)} is {scene.absent}",
                came=found,
                look_at="find_member find_invitation",
            )

    def test_unicode_address(self, scene: Scene) -> None:
        """An address with letters beyond ASCII is invited and found again, or refused by the
        service: never mangled.

        Likely cause: The address is encoded or normalized before it is sent.
        """
        composed = unicodedata.normalize("NFC", scene.address("jo\u0308rg"))
        try:
            scene.guests.invite(composed, **scene.terms())
        except errors.Rejected:
            return
        look_at = "find_invitation invitations find_member members"
        scene.stands(composed, scene.state_after_invite, look_at=look_at)

    def test_invite_a_member(self, scene: Scene) -> None:
        """Inviting a member changes nothing: already a member, no mail.

        Likely cause: The member is not found by the address, and the service invites members.
        """
        scene.member("ada")
        before = scene.setting.emails(scene.address("ada"))
        result = scene.invite("ada")
        scene.check(
            result.outcome is Outcome.ALREADY_MEMBER and result.guest.state is State.ACCEPTED,
            expected="already_member",
            came=result,
            look_at="members find_member",
        )
        scene.mailed(scene.address("ada"), before, "members find_member")

    def test_if_exists_error(self, scene: Scene) -> None:
        """With `if_exists="error"`, an open invitation and a member are errors of their own.

        Likely cause: The open invitation or the member is not found by the address.
        """
        if not scene.joins_at_once:
            scene.invitation("ada")
            with scene.refused(
                errors.AlreadyInvited, look_at="find_invitation invitations", tried=True
            ):
                scene.invite("ada", if_exists="error")
        scene.member("bob")
        with scene.refused(errors.AlreadyMember, look_at="find_member members", tried=True):
            scene.invite("bob", if_exists="error")

    def test_if_exists_resend(self, scene: Scene) -> None:
        """With `if_exists="resend"`, an open invitation is sent again, once.

        Likely cause: `resend` fails, or sends no email.
        """
        if not scene.provider.supports("resend"):
            scene.needs("revoke")
        scene.invitation("ada")
        result = scene.invite("ada", if_exists="resend")
        scene.check(
            result.outcome is Outcome.RESENT,
            expected="resent",
            came=result,
            look_at="resend",
        )
        scene.mailed(scene.address("ada"), 2, "resend")

    def test_if_exists_replace(self, scene: Scene) -> None:
        """With `if_exists="replace"`, the old invitation is withdrawn and a new one made.

        Likely cause: `revoke` or `invite` fails, or a look still finds the old invitation.
        """
        scene.needs("revoke")
        old = scene.invitation("ada")
        result = scene.invite("ada", if_exists="replace")
        new = result.guest.invitation
        scene.check(
            result.outcome is Outcome.INVITED and result.replaced is not None and new is not None,
            expected=f"another than {old.id}",
            came=result,
            look_at="revoke invite",
        )
        look_at = "revoke find_invitation invitations"
        scene.stands(scene.address("ada"), State.PENDING, look_at=look_at)

    def test_change_invitation(self, scene: Scene) -> None:
        """`change_invitation` makes an open invitation offer other roles, which are granted at
        acceptance, and sends no email. `assign_role` uses it for invited people.

        Likely cause: The request adds the roles to the old ones, or creates another invitation.
        """
        scene.needs("change_invitation", "assign_role")
        old, address = scene.invitation("ada"), scene.address("ada")
        emails = scene.setting.emails(address)
        role = scene.another_role(old.roles, offered=True)
        scene.guests.assign_role(address, role)
        scene.mailed(address, emails, "change_invitation")
        new = scene.status("ada").invitation
        scene.check(
            new is not None and role.id in {one.id for one in new.roles},
            expected=f"an open invitation that offers {role.label}",
            came=new,
            look_at="change_invitation invitations find_invitation",
        )
        member = scene.accept(old if new is None else new)
        scene.check(
            member.roles is None or role in member.roles,
            expected=f"a member with {role.label}",
            came=member,
            look_at="change_invitation",
        )

    def test_conflict_on_creation_is_explained(self, scene: Scene) -> None:
        """Where the service refuses a duplicate, that is Conflict: guestlist then looks, and does
        not invite again. `refuses_duplicates` may only be true if it does.

        Likely cause: `explain` does not turn the service's refusal of a duplicate into Conflict, or
        `refuses_duplicates` is declared although the service invites twice.
        """
        scene.needs("invite")
        new = scene.new_invitation("ada")
        scene.run(scene.provider.invite(new))
        before = scene.setting.emails(new.email)
        try:
            scene.run(scene.provider.invite(new))
        except GuestlistError as error:
            scene.check(
                isinstance(error, errors.Conflict),
                expected="Conflict",
                came=repr(error),
                look_at="explain refuses_duplicates",
            )
            scene.mailed(new.email, before, "explain")
        else:
            scene.check(
                not scene.provider.refuses_duplicates,
                expected="Conflict, as refuses_duplicates says",
                came="a second invitation",
                look_at="refuses_duplicates",
            )

    def test_result_of_invite_is_what_a_look_finds(self, scene: Scene) -> None:
        """What `invite` returns and what a look finds afterwards is the same invitation.

        Likely cause: `invite` and the look read different fields, or answers of different shapes,
        with the same code.
        """
        told = scene.invitation("ada")
        found = scene.status("ada").invitation
        scene.check(
            found is not None
            and found.id == told.id
            and email_key(found.email) == email_key(told.email)
            and (
                "expires_at" in told.estimated | found.estimated
                or found.expires_at == told.expires_at
            ),
            expected=told,
            came=found,
            look_at="invite find_invitation invitations",
        )
        if scene.provider.supports("get_invitation") and told.id is not None:
            read = scene.run(scene.provider.get_invitation(told.id))
            scene.check(
                read.id == told.id and read.state is State.PENDING,
                expected=told,
                came=read,
                look_at="get_invitation",
            )

    def test_order_once_more_keeps_its_options(self, scene: Scene, option: str) -> None:
        """`copy_of` returns what the invitation was made from, with its options. A person who is
        invited again after an expiry gets the same.

        Likely cause: `copy_of` is not overridden, or leaves the option out.
        """
        scene.needs("invite")
        if not self.options_are_shown:
            pytest.skip("the service does not show the options of an invitation")
        usual = scene.provider.Options()
        other = usual.model_copy(update={option: not getattr(usual, option)})
        for who, options in (("ada", usual), ("bob", other)):
            new = scene.new_invitation(who).model_copy(update={"options": options})
            invited = scene.run(scene.provider.invite(new))
            if isinstance(invited, Invitation):
                came = scene.provider.copy_of(invited).options
                scene.check(came == options, expected=options, came=came, look_at="copy_of")

    def test_text_option_is_sent(self, scene: Scene, text_option: str) -> None:
        """What a caller writes into an option of an invitation goes to the service.

        Likely cause: `invite` does not use the option.
        """
        scene.needs("invite")
        new, kind = scene.new_invitation("ada"), scene.provider.Options
        for text in TEXTS:
            try:
                options = kind(**{text_option: text})
            except ValidationError:
                continue
            scene.forget()
            with suppress(GuestlistError):  # what matters is that it was sent
                scene.run(scene.provider.invite(new.model_copy(update={"options": options})))
            asked = [request for request, _ in scene.spy.asked]
            sent = [f"{one} {one.query} {one.json} {one.form}" for one in asked]
            scene.check(
                any(text in one for one in sent),
                expected=f"{text_option}={text!r} in a request",
                came=sent,
                look_at="invite Options",
            )
            return
        pytest.skip(f"{text_option} takes none of {', '.join(TEXTS)}")

    def test_lost_answer_of_invite(self, scene: Scene) -> None:
        """An invitation or member whose answer is lost is found by looking, and there is only one.

        Likely cause: A look does not find the record, or its `created_at` is not the time of the
        request.
        """
        scene.needs("invite")
        scene.roles()
        scene.lose_an_answer()
        result = scene.invite("ada")
        scene.check(
            result.outcome is scene.invited and result.guest.state is scene.state_after_invite,
            expected=scene.invited,
            came=result,
            look_at="invite find_invitation invitations find_member members",
        )
        scene.mailed(scene.address("ada"), 1, "invite")
