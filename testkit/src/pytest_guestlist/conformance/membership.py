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
from pytest_guestlist.conformance.base import Rules
from pytest_guestlist.conformance.scene import Scene


class Membership(Rules):
    """`members`, `remove`, `assign_role`, `unassign_role`, `access`.

    Attributes:
        origins_are_told: whether the service shows which roles a person holds through other roles.
    """

    origins_are_told = True

    def test_members_are_those_who_have_accepted(self, scene: Scene) -> None:
        """The list of members contains each person who has accepted once, and no one who is only
        invited.

        Likely cause: The service's list also holds people who are only invited: leave them out
        (return None from the reader).
        """
        scene.needs("members")
        if not scene.joins_at_once:
            scene.invitation("bob")
        scene.member("ada")
        listed = [scene.key(one) for one in scene.guests.members()]
        scene.check(
            listed.count(email_key(scene.address("ada"))) == 1
            and email_key(scene.address("bob")) not in listed,
            expected=f"{scene.address('ada')}, and not {scene.address('bob')}",
            came=listed,
            look_at="members",
        )

    def test_members_are_the_same_everywhere(self, scene: Scene) -> None:
        """`members`, `find_member` and `get_member` tell the same of a member.

        Likely cause: The operations read members with different code, or from answers of different
        shapes. Use one reader.
        """
        scene.needs("members")
        member = scene.member("ada")
        found: list[Member | None] = [one for one in scene.guests.members() if one.id == member.id]
        if scene.provider.supports("find_member"):
            found.append(scene.run(scene.provider.find_member(scene.findable("ada"))))
        if scene.provider.supports("get_member"):
            found.append(scene.run(scene.provider.get_member(member.id)))
        told = {(one.id, scene.key(one), one.name, one.state) for one in found if one}
        scene.check(
            len(found) > 0 and len(told) == 1,
            expected="one member",
            came=told,
            look_at="members find_member get_member",
        )

    def test_who_is_invited_is_no_member(self, scene: Scene) -> None:
        """An invited person is not found as a member, or in state `invited`.

        Likely cause: The service finds people who are only invited too, and their records are not
        told apart by state.
        """
        scene.needs("find_member")
        scene.invitation("ada")
        found = scene.run(scene.provider.find_member(scene.findable("ada")))
        scene.check(
            found is None or found.state is MemberState.INVITED,
            expected="None, or MemberState.INVITED",
            came=found,
            look_at="find_member",
        )

    def test_remove_takes_one_person_out(self, scene: Scene) -> None:
        """`remove` takes that person out, and nobody else.

        Likely cause: The call takes another id (of the user instead of the member), or does
        something else, such as suspending.
        """
        scene.needs("remove")
        scene.member("bob")
        scene.member("ada")
        guest = scene.guests.remove(scene.address("ada")).guest
        stands = (guest.state, scene.status("ada").state, scene.status("bob").state)
        scene.check(
            State.ACCEPTED not in stands[:2] and stands[2] is State.ACCEPTED,
            expected="ada is gone, bob stays",
            came=stands,
            look_at="remove members find_member",
        )
        if scene.provider.supports("members"):
            listed = [scene.key(one) for one in scene.guests.members()]
            scene.check(
                email_key(scene.address("ada")) not in listed,
                expected=f"a list without {scene.address('ada')}",
                came=listed,
                look_at="remove members",
            )

    def test_remove_twice(self, scene: Scene) -> None:
        """A second remove sends nothing and returns `already_removed`, by address, by the record
        and by its id.

        Likely cause: A removed member is still listed, or an unknown id is not reported as
        NotFound.
        """
        scene.needs("remove")
        member = scene.member("ada")
        first = scene.guests.remove(scene.address("ada"))
        scene.check(
            first.outcome is RemoveOutcome.REMOVED,
            expected="removed",
            came=first,
            look_at="remove",
        )
        known = (scene.address("nobody"),) if scene.absent is State.GONE else ()
        for who in (scene.address("ada"), member, member.id, *known):
            again = scene.guests.remove(who)
            scene.check(
                again.outcome is RemoveOutcome.ALREADY_REMOVED,
                expected=f"already_removed for {who!r}",
                came=again,
                look_at="remove members find_member get_member",
            )

    def test_remove_of_an_invited_person_is_refused(self, scene: Scene) -> None:
        """`remove` of somebody who is merely invited is a Conflict, and nothing is sent.

        Likely cause: A person who is only invited is reported as a member.
        """
        scene.needs("remove")
        scene.invitation("ada")
        with scene.refused(errors.Conflict, look_at="members find_member"):
            scene.guests.remove(scene.address("ada"))
        scene.stands(scene.address("ada"), State.PENDING, look_at="remove")

    def test_assign_and_unassign(self, scene: Scene) -> None:
        """A role that is assigned is held, and not twice; one that is taken is not held; another
        member keeps what is theirs.

        Likely cause: The request names the role or the member in the wrong way, or sets the roles
        of everybody; or `access` reads a stale record instead of asking the service.
        """
        scene.needs("assign_role")
        other = scene.member("bob")
        before = self._held(scene, scene.address("bob"))
        member = scene.member("ada")
        role = scene.another_role(member.roles or ())
        result = scene.guests.assign_role(scene.address("ada"), role)
        scene.check(
            result.outcome.value == "assigned"
            and role.id in self._held(scene, scene.address("ada")),
            expected=role,
            came=f"{result.outcome}, {self._held(scene, scene.address('ada'))}",
            look_at="assign_role access members",
        )
        if scene.provider.supports("access"):
            now = [grant.role.id for grant in scene.run(scene.provider.access(member))]
            scene.check(
                role.id in now,
                expected=f"{role.label}, asked with a member record from before",
                came=now,
                look_at="access",
            )
        scene.guests.assign_role(scene.address("ada"), role.label)
        self._keeps(scene, other, before, "assign_role")
        if (
            not scene.provider.supports("unassign_role")
            or role.kind in scene.provider.mandatory_kinds
        ):
            return
        taken = scene.guests.unassign_role(scene.address("ada"), role)
        scene.check(
            taken.outcome.value == "unassigned"
            and role.id not in self._held(scene, scene.address("ada")),
            expected=f"without {role.label}",
            came=f"{taken.outcome}, {self._held(scene, scene.address('ada'))}",
            look_at="unassign_role access members",
        )
        self._keeps(scene, other, before, "unassign_role")

    def test_assigning_replaces_as_told(self, scene: Scene) -> None:
        """A role that is assigned takes the place of the one held if its kind is one of
        `exclusive_kinds`; otherwise both are held.

        Likely cause: `exclusive_kinds` states the opposite of what the service does, or the request
        sends the whole list of roles.
        """
        scene.needs("assign_role")
        member = scene.member("ada")
        held = self._held(scene, scene.address("ada"))
        if not held:
            scene.guests.assign_role(member, scene.another_role())
            held = self._held(scene, scene.address("ada"))
        kinds = {scene.another_role(Role(id=id) for id in held).kind, *scene.provider.role_kinds}
        known = {role.id: role for role in scene.assignable_roles()}
        for kind in sorted(kinds):
            free = [role for role in known.values() if role.kind == kind and role.id not in held]
            free = [role for role in free if "owner" not in role.label.lower()] or free
            if not free:
                continue
            role, before = free[-1], [known.get(id, Role(id=id)) for id in held]
            scene.guests.assign_role(member, role)
            replaced = {one.id for one in scene.provider.replaced_by(role, before)}
            wanted, held = {role.id, *held} - replaced, self._held(scene, scene.address("ada"))
            came_along = set[str]() if self.origins_are_told else held - wanted - replaced
            scene.check(
                held - came_along == wanted,
                expected=f"{sorted(wanted)}, as exclusive_kinds states",
                came=sorted(held),
                look_at="exclusive_kinds replaced_by assign_role access",
            )

    def test_every_role_can_be_assigned(self, scene: Scene) -> None:
        """Every role that is listed, of every kind, can be assigned and is then held directly,
        unless it says that it is `not_assignable`. What comes along with it is not direct, and what
        was assigned can be taken.

        Likely cause: A kind of role needs another call, the kind or the source of a grant is not
        read, or a role that cannot be assigned lacks `not_assignable`.
        """
        scene.needs("assign_role", "access")
        member = scene.member("ada")
        mine = [
            role
            for role in scene.assignable_roles()
            if "owner" not in role.label.lower()
            and role.id not in self._held(scene, scene.address("ada"))
        ]
        for role in mine:
            before = {grant.role.id for grant in scene.guests.access(member).grants}
            scene.guests.assign_role(member, role)
            grants = scene.guests.access(member).grants
            new = {one.role.id: one.direct for one in grants if one.role.id not in before}
            held = [(one.direct, one.role.kind) for one in grants if one.role.id == role.id]
            scene.check(
                held == [(True, role.kind)]
                and not (
                    self.origins_are_told
                    and any(direct for id, direct in new.items() if id != role.id)
                ),
                expected=f"{role.label} direct, and nothing else",
                came=grants,
                look_at="access assign_role",
            )
            if (
                scene.provider.supports("unassign_role")
                and role.kind not in scene.provider.mandatory_kinds
                and len(grants) > 1
            ):
                scene.guests.unassign_role(member, role)
                grants = scene.guests.access(member).grants
                scene.check(
                    not any(one.role.id == role.id and one.direct for one in grants),
                    expected=f"no {role.label}",
                    came=grants,
                    look_at="unassign_role access",
                )

    def test_role_for_a_pending_person_is_refused(self, scene: Scene) -> None:
        """Assigning a role to a person who has not accepted is a Conflict, and nothing is sent.
        Only a provider with `change_invitation` can do it.

        Likely cause: A person who is only invited is reported as a member.
        """
        scene.needs("assign_role", "roles")
        if scene.provider.supports("change_invitation"):
            pytest.skip("the service can change the roles of an open invitation")
        scene.invitation("ada")
        role = scene.another_role()
        with scene.refused(errors.Conflict, look_at="members find_member"):
            scene.guests.assign_role(scene.address("ada"), role)

    def test_unknown_role_is_refused(self, scene: Scene) -> None:
        """A role that the service does not have is UnknownRole, and nothing is sent.

        Likely cause: `roles` accepts or invents roles instead of listing those of the service.
        """
        scene.needs("assign_role", "roles")
        scene.member("ada")
        with scene.refused(errors.UnknownRole, look_at="roles"):
            scene.guests.assign_role(scene.address("ada"), "no such role")

    def test_access_of_nobody(self, scene: Scene) -> None:
        """A person who is not a member has no access, and the answer says why.

        Likely cause: A person who is only invited is reported as a member.
        """
        scene.needs("access")
        scene.invitation("ada")
        access = scene.guests.access(scene.address("ada"))
        scene.check(
            not access.effective and bool(access.explanation),
            expected="nothing, and an explanation",
            came=access,
            look_at="access",
        )

    def test_access_of_a_member_without_anything(self, scene: Scene) -> None:
        """For a member without roles, the answer says what that means.

        Likely cause: `explain_access` gives another text than `no_access`, or `access` returns
        grants that the person does not have.
        """
        scene.needs("access")
        member = scene.member("ada")
        access = scene.guests.access(member)
        if access.effective:
            pytest.skip("members hold something from the beginning here")
        scene.check(
            access.explanation == scene.provider.no_access,
            expected=scene.provider.no_access,
            came=access.explanation,
            look_at="no_access access",
        )

    def _keeps(self, scene: Scene, other: Member, before: set[str], look_at: str) -> None:
        now = self._held(scene, scene.address("bob"))
        wanted = f"{scene.address('bob')} still with {before or 'nothing'}"
        scene.check(now == before, expected=wanted, came=now or "nothing", look_at=look_at)

    def _held(self, scene: Scene, email: str) -> set[str]:
        if scene.provider.supports("access"):
            return {one.role.id for one in scene.guests.access(email).grants if one.direct}
        member = scene.guests.status(email).member
        return {role.id for role in (member.roles or ())} if member else set()
