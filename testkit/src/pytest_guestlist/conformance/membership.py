"""Rules about members, what they may do, and `remove`."""

from __future__ import annotations

import pytest

from guestlist import errors
from guestlist.address import email_key
from guestlist.models import (
    Member,
    MemberState,
    RemoveOutcome,
    Role,
    State,
)
from pytest_guestlist.conformance.base import ProviderRules
from pytest_guestlist.conformance.harness import Harness


class MembershipRules(ProviderRules):
    """Rules about `members`, `remove`, `assign_role`, `unassign_role` and `access`.

    Attributes:
        origins_are_shown: whether the service shows which roles a person holds through other roles.
    """

    origins_are_shown = True

    def test_members_are_those_who_have_accepted(self, harness: Harness) -> None:
        """The list of members contains each person who has accepted once, and no one who is only
        invited.

        Likely cause: The service's list also holds people who are only invited: leave them out
        (return None from the reader).
        """
        harness.require("members")
        if not harness.joins_at_once:
            harness.invitation("bob")
        harness.member("ada")
        listed = [harness.key(one) for one in harness.guests.members()]
        harness.check(
            listed.count(email_key(harness.address("ada"))) == 1
            and email_key(harness.address("bob")) not in listed,
            expected=f"{harness.address('ada')}, and not {harness.address('bob')}",
            got=listed,
            look_at="members",
        )

    def test_members_are_the_same_everywhere(self, harness: Harness) -> None:
        """`members`, `find_member` and `get_member` return the same member.

        Likely cause: The operations read members with different code, or from answers of different
        shapes. Use one reader.
        """
        harness.require("members")
        member = harness.member("ada")
        found: list[Member | None] = [
            one for one in harness.guests.members() if one.id == member.id
        ]
        if harness.provider.supports("find_member"):
            found.append(
                harness.run(harness.provider.find_member(harness.find_member_argument("ada")))
            )
        if harness.provider.supports("get_member"):
            found.append(harness.run(harness.provider.get_member(member.id)))
        variants = {(one.id, harness.key(one), one.name, one.state) for one in found if one}
        harness.check(
            len(found) > 0 and len(variants) == 1,
            expected="one member",
            got=variants,
            look_at="members find_member get_member",
        )

    def test_who_is_invited_is_no_member(self, harness: Harness) -> None:
        """An invited person is not found as a member, or in state `invited`.

        Likely cause: The service finds people who are only invited too, and their records are not
        distinguished by state.
        """
        harness.require("find_member")
        harness.invitation("ada")
        found = harness.run(harness.provider.find_member(harness.find_member_argument("ada")))
        harness.check(
            found is None or found.state is MemberState.INVITED,
            expected="None, or MemberState.INVITED",
            got=found,
            look_at="find_member",
        )

    def test_remove_takes_one_person_out(self, harness: Harness) -> None:
        """`remove` takes that person out, and nobody else.

        Likely cause: The call takes another id (of the user instead of the member), or does
        something else, such as suspending.
        """
        harness.require("remove")
        harness.member("bob")
        harness.member("ada")
        guest = harness.guests.remove(harness.address("ada")).guest
        expect_state = (guest.state, harness.status("ada").state, harness.status("bob").state)
        harness.check(
            State.ACCEPTED not in expect_state[:2] and expect_state[2] is State.ACCEPTED,
            expected="ada is gone, bob stays",
            got=expect_state,
            look_at="remove members find_member",
        )
        if harness.provider.supports("members"):
            listed = [harness.key(one) for one in harness.guests.members()]
            harness.check(
                email_key(harness.address("ada")) not in listed,
                expected=f"a list without {harness.address('ada')}",
                got=listed,
                look_at="remove members",
            )

    def test_remove_twice(self, harness: Harness) -> None:
        """A second remove sends nothing and returns `already_removed`, by address, by the record
        and by its id.

        Likely cause: A removed member is still listed, or an unknown id is not reported as
        NotFound.
        """
        harness.require("remove")
        member = harness.member("ada")
        first = harness.guests.remove(harness.address("ada"))
        harness.check(
            first.outcome is RemoveOutcome.REMOVED,
            expected="removed",
            got=first,
            look_at="remove",
        )
        known = (harness.address("nobody"),) if harness.absent_state is State.GONE else ()
        for who in (harness.address("ada"), member, member.id, *known):
            again = harness.guests.remove(who)
            harness.check(
                again.outcome is RemoveOutcome.ALREADY_REMOVED,
                expected=f"already_removed for {who!r}",
                got=again,
                look_at="remove members find_member get_member",
            )

    def test_remove_of_an_invited_person_is_refused(self, harness: Harness) -> None:
        """`remove` of somebody who is merely invited is a Conflict, and nothing is sent.

        Likely cause: A person who is only invited is reported as a member.
        """
        harness.require("remove")
        harness.invitation("ada")
        with harness.expect_error(errors.Conflict, look_at="members find_member"):
            harness.guests.remove(harness.address("ada"))
        harness.expect_state(harness.address("ada"), State.PENDING, look_at="remove")

    def test_assign_and_unassign(self, harness: Harness) -> None:
        """After `assign_role`, the member holds the role once. After `unassign_role`, the member
        does not hold it. Another member's roles do not change.

        Likely cause: The request names the role or the member in the wrong way, or sets the roles
        of everybody; or `access` reads a stale record instead of asking the service.
        """
        harness.require("assign_role")
        other = harness.member("bob")
        before = self._held(harness, harness.address("bob"))
        member = harness.member("ada")
        role = harness.another_role(member.roles or ())
        result = harness.guests.assign_role(harness.address("ada"), role)
        harness.check(
            result.outcome.value == "assigned"
            and role.id in self._held(harness, harness.address("ada")),
            expected=role,
            got=f"{result.outcome}, {self._held(harness, harness.address('ada'))}",
            look_at="assign_role access members",
        )
        if harness.provider.supports("access"):
            now = [grant.role.id for grant in harness.run(harness.provider.access(member))]
            harness.check(
                role.id in now,
                expected=f"{role.label}, asked with a member record from before",
                got=now,
                look_at="access",
            )
        harness.guests.assign_role(harness.address("ada"), role.label)
        self._keeps(harness, other, before, "assign_role")
        if (
            not harness.provider.supports("unassign_role")
            or role.kind in harness.provider.mandatory_kinds
        ):
            return
        taken = harness.guests.unassign_role(harness.address("ada"), role)
        harness.check(
            taken.outcome.value == "unassigned"
            and role.id not in self._held(harness, harness.address("ada")),
            expected=f"without {role.label}",
            got=f"{taken.outcome}, {self._held(harness, harness.address('ada'))}",
            look_at="unassign_role access members",
        )
        self._keeps(harness, other, before, "unassign_role")

    def test_assigning_replaces_as_told(self, harness: Harness) -> None:
        """A role that is assigned takes the place of the one held if its kind is one of
        `exclusive_kinds`; otherwise both are held.

        Likely cause: `exclusive_kinds` states the opposite of what the service does, or the request
        sends the whole list of roles.
        """
        harness.require("assign_role")
        member = harness.member("ada")
        held = self._held(harness, harness.address("ada"))
        if not held:
            harness.guests.assign_role(member, harness.another_role())
            held = self._held(harness, harness.address("ada"))
        kinds = {
            harness.another_role(Role(id=id) for id in held).kind,
            *harness.provider.role_kinds,
        }
        known = {role.id: role for role in harness.assignable_roles()}
        for kind in sorted(kinds):
            free = [role for role in known.values() if role.kind == kind and role.id not in held]
            free = [role for role in free if "owner" not in role.label.lower()] or free
            if not free:
                continue
            role, before = free[-1], [known.get(id, Role(id=id)) for id in held]
            harness.guests.assign_role(member, role)
            replaced = {one.id for one in harness.provider.replaced_by(role, before)}
            wanted, held = {role.id, *held} - replaced, self._held(harness, harness.address("ada"))
            came_along = set[str]() if self.origins_are_shown else held - wanted - replaced
            harness.check(
                held - came_along == wanted,
                expected=f"{sorted(wanted)}, as exclusive_kinds states",
                got=sorted(held),
                look_at="exclusive_kinds replaced_by assign_role access",
            )

    def test_every_role_can_be_assigned(self, harness: Harness) -> None:
        """Every role that is listed, of every kind, can be assigned and is then held directly,
        unless it says that it is `not_assignable`. Roles that come with it are not direct, and an
        assigned role can be taken away.

        Likely cause: A kind of role needs another call, the kind or the source of a grant is not
        read, or a role that cannot be assigned lacks `not_assignable`.
        """
        harness.require("assign_role", "access")
        member = harness.member("ada")
        mine = [
            role
            for role in harness.assignable_roles()
            if "owner" not in role.label.lower()
            and role.id not in self._held(harness, harness.address("ada"))
        ]
        for role in mine:
            before = {grant.role.id for grant in harness.guests.access(member).grants}
            harness.guests.assign_role(member, role)
            grants = harness.guests.access(member).grants
            new = {one.role.id: one.direct for one in grants if one.role.id not in before}
            held = [(one.direct, one.role.kind) for one in grants if one.role.id == role.id]
            harness.check(
                held == [(True, role.kind)]
                and not (
                    self.origins_are_shown
                    and any(direct for id, direct in new.items() if id != role.id)
                ),
                expected=f"{role.label} direct, and nothing else",
                got=grants,
                look_at="access assign_role",
            )
            if (
                harness.provider.supports("unassign_role")
                and role.kind not in harness.provider.mandatory_kinds
                and len(grants) > 1
            ):
                harness.guests.unassign_role(member, role)
                grants = harness.guests.access(member).grants
                harness.check(
                    not any(one.role.id == role.id and one.direct for one in grants),
                    expected=f"no {role.label}",
                    got=grants,
                    look_at="unassign_role access",
                )

    def test_role_for_a_pending_person_is_refused(self, harness: Harness) -> None:
        """Assigning a role to a person who has not accepted is a Conflict, and nothing is sent.
        Only a provider with `change_invitation` can do it.

        Likely cause: A person who is only invited is reported as a member.
        """
        harness.require("assign_role", "roles")
        if harness.provider.supports("change_invitation"):
            pytest.skip("the service can change the roles of an open invitation")
        harness.invitation("ada")
        role = harness.another_role()
        with harness.expect_error(errors.Conflict, look_at="members find_member"):
            harness.guests.assign_role(harness.address("ada"), role)

    def test_unknown_role_is_refused(self, harness: Harness) -> None:
        """A role that the service does not have is UnknownRole, and nothing is sent.

        Likely cause: `roles` accepts or invents roles instead of listing those of the service.
        """
        harness.require("assign_role", "roles")
        harness.member("ada")
        with harness.expect_error(errors.UnknownRole, look_at="roles"):
            harness.guests.assign_role(harness.address("ada"), "no such role")

    def test_access_of_nobody(self, harness: Harness) -> None:
        """A person who is not a member has no access, and the answer says why.

        Likely cause: A person who is only invited is reported as a member.
        """
        harness.require("access")
        harness.invitation("ada")
        access = harness.guests.access(harness.address("ada"))
        harness.check(
            not access.effective and bool(access.explanation),
            expected="nothing, and an explanation",
            got=access,
            look_at="access",
        )

    def test_access_of_a_member_without_anything(self, harness: Harness) -> None:
        """For a member without roles, the answer says what that means.

        Likely cause: `explain_access` gives another text than `no_access`, or `access` returns
        grants that the person does not have.
        """
        harness.require("access")
        member = harness.member("ada")
        access = harness.guests.access(member)
        if access.effective:
            pytest.skip("members hold something from the beginning here")
        harness.check(
            access.explanation == harness.provider.no_access,
            expected=harness.provider.no_access,
            got=access.explanation,
            look_at="no_access access",
        )

    def _keeps(self, harness: Harness, other: Member, before: set[str], look_at: str) -> None:
        now = self._held(harness, harness.address("bob"))
        wanted = f"{harness.address('bob')} still with {before or 'nothing'}"
        harness.check(now == before, expected=wanted, got=now or "nothing", look_at=look_at)

    def _held(self, harness: Harness, email: str) -> set[str]:
        if harness.provider.supports("access"):
            return {one.role.id for one in harness.guests.access(email).grants if one.direct}
        member = harness.guests.status(email).member
        return {role.id for role in (member.roles or ())} if member else set()
