"""Rules about people who have several roles or several records."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import combinations

import pytest

from guestlist.address import email_key
from guestlist.errors import Conflict, GuestlistError, Rejected, ServiceRefusal, Unsupported
from guestlist.models import (
    OPEN_STATES,
    Invitation,
    Member,
    MemberState,
    NewInvitation,
    Role,
    State,
)
from pytest_guestlist.conformance.base import ProviderRules
from pytest_guestlist.conformance.harness import HOUR, Harness


class SeveralPeopleRules(ProviderRules):
    """Members with two roles, members with an invitation, and people with two invitations."""

    # ------------------------------------------------------------------ several roles

    def test_member_holds_two_roles(self, harness: Harness) -> None:
        """A member can hold two roles, of two kinds if the service has them: `access` and the
        member records show both, each with its kind.

        Likely cause: the code that reads a member or a grant looks at one kind of role only, reads
        only the first role, or gives every role the same kind.
        """
        member, roles = self._with_two_roles(harness)
        wanted = {(role.kind, role.id) for role in roles}
        for name, held in self._shown(harness, member).items():
            found = {(role.kind, role.id) for role in held}
            harness.check(wanted <= found, expected=roles, got=held, look_at=name)

    def test_assigning_leaves_other_roles(self, harness: Harness) -> None:
        """`assign_role` adds a role and takes none away, of any kind, except those that
        `replaced_by` returns.

        Likely cause: the service replaces the whole list of roles, and the request contains only
        the new one.
        """
        member, roles = self._with_two_roles(harness)
        self._holds(harness, member, [role.id for role in roles], "assign_role")

    def test_unassigning_leaves_other_roles(self, harness: Harness) -> None:
        """`unassign_role` takes one role away, and the member keeps all others.

        Likely cause: the request sets or deletes the whole list of roles, or deletes the member.
        """
        harness.require("unassign_role")
        member, (first, second) = self._with_two_roles(harness)
        for taken, kept in ((first, second), (second, first)):
            if taken.kind in harness.provider.mandatory_kinds:
                continue  # a member always has one
            member = self._read_again(harness, member)
            harness.guests.unassign_role(member, taken)
            self._holds(harness, member, [kept.id], "unassign_role", without=taken.id)
            harness.guests.assign_role(member, taken)

    def test_last_role(self, harness: Harness) -> None:
        """Taking the last role away never takes the person out: the person stays a member without
        a role, or `unassign_role` refuses and nothing changes. Only `remove` takes people out.

        Likely cause: the service drops a member who has no role left. Read the member first, and
        raise `Conflict` if the role is the last one.
        """
        harness.require("assign_role", "unassign_role")
        member = harness.member("ada")
        held = self._direct(harness, member)
        if not held:
            harness.guests.assign_role(member, harness.another_role())
            held = self._direct(harness, member)
        for role in held:
            try:
                harness.guests.unassign_role(harness.address("ada"), role)
            except (ServiceRefusal, Unsupported):
                break  # the service or the provider refuses
            except GuestlistError as error:
                harness.report_finding(
                    expected="a member without a role, or a refusal",
                    got=repr(error),
                    look_at="unassign_role access",
                )
        harness.expect_state(harness.address("ada"), State.ACCEPTED, look_at="unassign_role")

    def test_remove_takes_every_role(self, harness: Harness) -> None:
        """`remove` takes out a member who holds several roles, completely.

        Likely cause: `remove` consists of one request for each role, team or seat, and some of them
        are missing.
        """
        harness.require("remove")
        member, _ = self._with_two_roles(harness)
        harness.guests.remove(self._read_again(harness, member))
        found = harness.status("ada")
        harness.check(
            (found.member is None or found.member.state is MemberState.REMOVED)
            and found.state is not State.ACCEPTED,
            expected=f"{harness.address('ada')} is gone",
            got=found,
            look_at="remove",
        )

    # ------------------------------------------------------------------ a member with an invitation

    def test_member_who_is_invited(self, harness: Harness) -> None:
        """A member with an open invitation is a member: the status is accepted, and both lists
        have the person.

        Likely cause: a list leaves out records of people who are in the other list, or keeps only
        one record for each address.
        """
        member, one = self._invited_member(harness)
        found = harness.expect_state(
            harness.address("ada"), State.ACCEPTED, look_at="members invitations"
        )
        harness.check(
            found.member is not None
            and found.member.id == member.id
            and [other.id for other in found.invitations] == [one.id],
            expected=f"the member {member.id} with the open invitation {one.id}",
            got=found,
            look_at="members find_member invitations find_invitation",
        )
        if harness.provider.supports("members"):
            ids = [other.id for other in harness.guests.members()]
            harness.check(member.id in ids, expected=member, got=ids, look_at="members")
        listed = [other.id for other in self._open(harness)]
        look_at = "invitations find_invitation"
        harness.check(listed == [one.id], expected=[one.id], got=listed, look_at=look_at)

    def test_revoke_leaves_the_member(self, harness: Harness) -> None:
        """`revoke` withdraws the invitation of a member, and the person stays a member with the
        same roles.

        Likely cause: `revoke` deletes the person or the membership. If the service has no other
        call, raise `Conflict` for the invitation of a member.
        """
        harness.require("revoke")
        member, one = self._invited_member(harness)
        before = {role.id for role in self._direct(harness, member)}
        try:
            harness.run(harness.provider.revoke(one))
        except ServiceRefusal:
            pass  # the member has to stay all the same
        else:
            found = self._open(harness)
            harness.check(not found, expected="no open invitation", got=found, look_at="revoke")
        harness.expect_state(harness.address("ada"), State.ACCEPTED, look_at="revoke")
        self._holds(harness, member, sorted(before), "revoke")

    def test_remove_withdraws_the_invitation(self, harness: Harness) -> None:
        """After `remove` of a member with an open invitation, the person is neither a member nor
        invited.

        Likely cause: `revoke` fails for the invitation of a person who was a member.
        """
        harness.require("remove", "revoke")
        self._invited_member(harness)
        harness.guests.remove(harness.address("ada"))
        found = harness.status("ada")
        harness.check(
            found.member is None and found.state not in OPEN_STATES,
            expected="neither a member nor an open invitation",
            got=found,
            look_at="remove revoke",
        )

    # ------------------------------------------------------------------ two invitations

    def test_two_invitations(self, harness: Harness) -> None:
        """If a person has two open invitations, both are listed, each with its own role.

        Likely cause: records are kept in a dictionary by address, or the role of the first record
        is used for both.
        """
        both = self._invited_twice(harness)
        wanted = {one.id: [role.id for role in one.roles] for one in both}
        found = {one.id: [role.id for role in one.roles] for one in self._open(harness)}
        harness.check(found == wanted, expected=wanted, got=found, look_at="invitations")

    def test_revoke_leaves_the_other_invitation(self, harness: Harness) -> None:
        """`revoke` of one of two invitations withdraws that one, and the other stays open.

        Likely cause: `revoke` addresses the person and not the invitation.
        """
        harness.require("revoke")
        first, second = self._invited_twice(harness)
        harness.run(harness.provider.revoke(second))
        found = [one.id for one in self._open(harness)]
        harness.check(found == [first.id], expected=[first.id], got=found, look_at="revoke")

    def test_revoke_by_address_withdraws_both(self, harness: Harness) -> None:
        """After `revoke` of a person with two open invitations, nobody can get in with either.

        Likely cause: `invitations` does not list both, or `revoke` reports success although the
        invitation stays open.
        """
        harness.require("revoke")
        both = self._invited_twice(harness)
        harness.guests.revoke(harness.address("ada"))
        found = self._open(harness)
        harness.check(not found, expected="no open invitation", got=found, look_at="revoke")
        for one in both:
            with suppress(Exception):  # the service refuses
                harness.backend.accept(one)
        harness.expect_state(
            harness.address("ada"), State.GONE, State.REVOKED, look_at="revoke invitations"
        )

    def test_resend_leaves_the_other_invitation(self, harness: Harness) -> None:
        """`resend` of one of two invitations sends that one again: it is returned with its own
        role, and the other stays as it was.

        Likely cause: `resend` addresses the person, or reads the first invitation of the address.
        """
        harness.require("resend")
        first, second = self._invited_twice(harness)
        harness.backend.forward(HOUR)
        for one, other in ((first, second), (second, first)):
            value = harness.run(harness.provider.resend(one))
            harness.check(
                {role.id for role in value.roles} == {role.id for role in one.roles},
                expected=one,
                got=value,
                look_at="resend",
            )
            found = [each.id for each in self._open(harness)]
            harness.check(other.id in found, expected=other, got=found, look_at="resend")

    def test_duplicate_with_another_role(self, harness: Harness) -> None:
        """With `refuses_duplicates`, a second invitation is refused also if it offers another role:
        guestlist then invites without looking first.

        Likely cause: the service refuses a second invitation only if it offers the same role, or
        `explain` does not return `Conflict` for its refusal. In the first case, do not declare
        `refuses_duplicates`.
        """
        if not harness.provider.refuses_duplicates:
            pytest.skip("refuses_duplicates is not declared: guestlist looks before it invites")
        first, second = self._two_offers(harness)
        harness.run(harness.provider.invite(first))
        before = harness.backend.emails(first.email)
        with harness.expect_error(Conflict, look_at="refuses_duplicates explain", tried=True):
            harness.run(harness.provider.invite(second))
        harness.expect_emails(first.email, before, "refuses_duplicates")

    def test_invalid_invitation_is_no_conflict(self, harness: Harness) -> None:
        """A request that the service refuses as invalid is not a `Conflict`: guestlist takes a
        `Conflict` of `invite` as proof that the person is invited or a member.

        Likely cause: `explain` returns `Conflict` for a status without looking at the error code or
        text.
        """
        harness.require("invite")
        usual = harness.new_invitation("ada")
        wrong = [usual.model_copy(update={"email": "nobody"})]
        if usual.roles:
            wrong.append(usual.model_copy(update={"roles": (Role(id="no-such-role"),)}))
        for new in wrong:
            try:
                harness.run(harness.provider.invite(new))
            except GuestlistError as error:
                harness.check(
                    not isinstance(error, Conflict),
                    expected="Rejected, or another error that is not a Conflict",
                    got=repr(error),
                    look_at="explain",
                )

    def test_link_is_that_of_the_email(self, harness: Harness) -> None:
        """The `link` of an invitation lets the invitee accept, as the link in the email does.

        Likely cause: the link is put together from the fields of a record, and the token is
        missing; or it is the address of a page for administrators.
        """
        one = harness.invitation("ada")
        if one.link is None:
            pytest.skip("the service shows no link")
        harness.check(
            harness.backend.is_link_of_email(one),
            expected="the link in the email",
            got="another link (not shown, because it may be a secret)",
            look_at="invite",
        )

    # ------------------------------------------------------------------ parts of tests

    def _with_two_roles(self, harness: Harness) -> tuple[Member, list[Role]]:
        """Returns a member who was assigned two roles, of two kinds if there are two."""
        harness.require("assign_role", "roles")
        member = harness.member("ada")
        held = self._direct(harness, member)
        ids = [role.id for role in held]
        free = [
            role
            for role in harness.assignable_roles()
            if role.id not in ids and "owner" not in role.label.lower()
        ]
        pairs = list(combinations([*free, *held], 2))
        pairs = [
            (one, other)
            for one, other in pairs
            if not {one, other} <= set(held)
            and not harness.provider.replaced_by(one, [other])
            and not harness.provider.replaced_by(other, [one])
        ]
        if not pairs:
            pytest.skip("a new member cannot be assigned a second role besides another one here")
        pair = min(pairs, key=lambda pair: pair[0].kind == pair[1].kind)
        for role in pair:
            harness.guests.assign_role(harness.address("ada"), role)
        return member, list(pair)

    def _invited_member(self, harness: Harness) -> tuple[Member, Invitation]:
        """Returns a member who was invited once more, and that invitation."""
        member = harness.member("ada")
        new = harness.new_invitation("ada")
        if new.roles:
            new = new.model_copy(update={"roles": (harness.another_role(new.roles, offered=True),)})
        one = self._second(harness, new, "invites no members")
        if one.state is State.ACCEPTED:
            pytest.skip("inviting a member changes the membership here")
        return member, one

    def _invited_twice(self, harness: Harness) -> tuple[Invitation, Invitation]:
        """Returns two open invitations of one person, each with a role of its own."""
        harness.require("invitations")
        first, second = self._two_offers(harness)
        one = harness.run(harness.provider.invite(first))
        if not isinstance(one, Invitation):
            pytest.skip("an invited person becomes a member at once here")
        other = self._second(harness, second, "accepts no second invitation of a person")
        if one.id is None or one.id == other.id:
            pytest.skip("a second invitation takes the place of the first here")
        return one, other

    def _open(self, harness: Harness) -> list[Invitation]:
        """Returns the open invitations of the person, from the list if there is one."""
        found = [harness.status("ada").invitation]
        if harness.provider.supports("invitations"):
            found = list(harness.guests.invitations())
        key = email_key(harness.address("ada"))
        return [
            one for one in found if one and email_key(one.email) == key and one.state in OPEN_STATES
        ]

    def _two_offers(self, harness: Harness) -> tuple[NewInvitation, NewInvitation]:
        harness.require("invite")
        first = harness.new_invitation("ada")
        if not first.roles:
            pytest.skip("an invitation takes no role here")
        other = harness.another_role(first.roles, offered=True)
        return first, first.model_copy(update={"roles": (other,)})

    def _second(self, harness: Harness, new: NewInvitation, what: str) -> Invitation:
        try:
            one = harness.run(harness.provider.invite(new))
        except (Conflict, Rejected, ServiceRefusal) as error:
            pytest.skip(f"the service {what}: {error.message}")
        if not isinstance(one, Invitation):
            pytest.skip("an invited person becomes a member at once here")
        return one

    def _read_again(self, harness: Harness, member: Member) -> Member:
        return harness.guests.status(harness.address("ada")).member or member

    def _shown(self, harness: Harness, member: Member) -> dict[str, Sequence[Role]]:
        """Returns the direct roles of a member by the operation that shows them."""
        found: dict[str, Sequence[Role]] = {}
        if harness.provider.supports("access"):
            found["access"] = self._direct(harness, member)
        records: dict[str, Member | None] = {}
        if harness.provider.supports("get_member"):
            records["get_member"] = harness.run(harness.provider.get_member(member.id))
        if harness.provider.supports("find_member"):
            records["find_member"] = harness.run(
                harness.provider.find_member(harness.address("ada"))
            )
        if harness.provider.supports("members"):
            listed = [one for one in harness.guests.members() if one.id == member.id]
            records["members"] = listed[0] if listed else None
        for name, record in records.items():
            if record is not None and record.roles is not None:
                found[name] = record.roles
        return found

    def _direct(self, harness: Harness, member: Member) -> list[Role]:
        """Returns the roles that a member holds directly, as far as the provider shows them."""
        if harness.provider.supports("access"):
            grants = harness.guests.access(harness.address("ada")).grants
            return [grant.role for grant in grants if grant.direct]
        return list(self._read_again(harness, member).roles or ())

    def _holds(
        self, harness: Harness, member: Member, ids: list[str], look_at: str, *, without: str = ""
    ) -> None:
        held = {role.id for role in self._direct(harness, member)}
        harness.check(
            held >= set(ids) and without not in held,
            expected=f"{', '.join(ids) or 'nothing'}" + f", without {without}" * bool(without),
            got=sorted(held),
            look_at=f"{look_at} access",
        )
