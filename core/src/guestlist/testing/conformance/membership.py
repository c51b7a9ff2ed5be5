"""Rules about members, what they may do, and `remove`."""

from __future__ import annotations

import pytest

from guestlist import errors
from guestlist.address import email_key
from guestlist.models import (
    Member,
    MemberState,
    State,
)
from guestlist.testing.conformance.base import Rules
from guestlist.testing.conformance.judging import check
from guestlist.testing.conformance.scene import Scene


class Membership(Rules):
    """`members`, `remove`, `assign_role`, `unassign_role`, `access`.

    Attributes:
        origins_are_told: whether this service tells which of the roles that a person holds come
            through others.
    """

    origins_are_told = True

    def test_members_are_those_who_have_accepted(self, scene: Scene) -> None:
        """The list of members holds whoever has accepted, once, and nobody who is merely
        invited."""
        scene.needs("members")
        scene.invitation("bob")
        member = scene.member("ada")
        listed = [email_key(one.email) for one in scene.guests.members()]
        check(
            listed.count(email_key(member.email)) == 1
            and email_key(scene.address("bob")) not in listed,
            self.test_members_are_those_who_have_accepted,
            scene,
            expected=f"{member.email}, and not {scene.address('bob')}",
            came=listed,
            look_at="members",
        )

    def test_members_are_the_same_everywhere(self, scene: Scene) -> None:
        """`members`, `find_member` and `get_member` tell the same of a member."""
        scene.needs("members")
        member = scene.member("ada")
        found: list[Member | None] = [one for one in scene.guests.members() if one.id == member.id]
        if scene.provider.supports("find_member"):
            found.append(scene.run(scene.provider.find_member(member.email)))
        if scene.provider.supports("get_member"):
            found.append(scene.run(scene.provider.get_member(member.id)))
        told = {(one.id, email_key(one.email), one.name, one.state) for one in found if one}
        check(
            len(found) > 0 and len(told) == 1,
            self.test_members_are_the_same_everywhere,
            scene,
            expected="one member",
            came=told,
            look_at="members find_member get_member",
        )

    def test_who_is_invited_is_no_member(self, scene: Scene) -> None:
        """Whoever is merely invited is found as no member, or in state `invited`."""
        scene.needs("find_member")
        scene.invitation("ada")
        found = scene.run(scene.provider.find_member(scene.address("ada")))
        check(
            found is None or found.state is MemberState.INVITED,
            self.test_who_is_invited_is_no_member,
            scene,
            expected="None, or MemberState.INVITED",
            came=found,
            look_at="find_member",
        )

    def test_remove_takes_one_person_out(self, scene: Scene) -> None:
        """`remove` takes that person out, and nobody else."""
        scene.needs("remove")
        scene.member("bob")
        scene.member("ada")
        guest = scene.guests.remove(scene.address("ada"))
        stands = (guest.state, scene.status("ada").state, scene.status("bob").state)
        check(
            State.ACCEPTED not in stands[:2] and stands[2] is State.ACCEPTED,
            self.test_remove_takes_one_person_out,
            scene,
            expected="ada is gone, bob stays",
            came=stands,
            look_at="remove members find_member",
        )
        if scene.provider.supports("members"):
            listed = [email_key(one.email) for one in scene.guests.members()]
            assert email_key(scene.address("ada")) not in listed

    def test_remove_of_an_invited_person_is_refused(self, scene: Scene) -> None:
        """`remove` of somebody who is merely invited is a Conflict, and nothing is sent."""
        scene.needs("remove")
        scene.invitation("ada")
        scene.forget()
        with pytest.raises(errors.Conflict):
            scene.guests.remove(scene.address("ada"))
        assert not scene.changes()
        assert scene.status("ada").state is State.PENDING

    def test_assign_and_unassign(self, scene: Scene) -> None:
        """A role that is assigned is held, and not twice; one that is taken is not held; another
        member keeps what is theirs."""
        scene.needs("assign_role")
        other = scene.member("bob")
        before = self._held(scene, other.email)
        member = scene.member("ada")
        role = scene.another_role(member.roles or ())
        result = scene.guests.assign_role(member.email, role)
        check(
            result.outcome.value == "assigned" and role.id in self._held(scene, member.email),
            self.test_assign_and_unassign,
            scene,
            expected=role,
            came=f"{result.outcome}, {self._held(scene, member.email)}",
            look_at="assign_role access members",
        )
        if scene.provider.supports("access"):
            now = [grant.role.id for grant in scene.run(scene.provider.access(member))]
            check(
                role.id in now,
                self.test_assign_and_unassign,
                scene,
                expected=f"{role.label}, asked with a member record from before",
                came=now,
                look_at="access",
            )
        again = scene.guests.assign_role(member.email, role.label)
        assert again.outcome.value in ("already_assigned", "assigned")
        assert self._held(scene, other.email) == before
        if not scene.provider.supports("unassign_role"):
            return
        taken = scene.guests.unassign_role(member.email, role)
        check(
            taken.outcome.value == "unassigned" and role.id not in self._held(scene, member.email),
            self.test_assign_and_unassign,
            scene,
            expected=f"without {role.label}",
            came=f"{taken.outcome}, {self._held(scene, member.email)}",
            look_at="unassign_role access members",
        )
        assert self._held(scene, other.email) == before

    def test_every_role_can_be_assigned(self, scene: Scene) -> None:
        """Every role that is listed, of every kind, can be assigned and is then held directly;
        what comes along with it is not direct; and what was assigned can be taken."""
        scene.needs("assign_role", "access")
        member = scene.member("ada")
        mine = [
            role
            for role in scene.roles()
            if "owner" not in role.label.lower() and role.id not in self._held(scene, member.email)
        ]
        for role in mine:
            before = {grant.role.id for grant in scene.guests.access(member).grants}
            scene.guests.assign_role(member, role)
            grants = scene.guests.access(member).grants
            new = {one.role.id: one.direct for one in grants if one.role.id not in before}
            held = [(one.direct, one.role.kind) for one in grants if one.role.id == role.id]
            check(
                held == [(True, role.kind)]
                and not (
                    self.origins_are_told
                    and any(direct for id, direct in new.items() if id != role.id)
                ),
                self.test_every_role_can_be_assigned,
                scene,
                expected=f"{role.label} direct, and nothing else",
                came=grants,
                look_at="access assign_role",
            )
            if scene.provider.supports("unassign_role") and len(grants) > 1:
                scene.guests.unassign_role(member, role)
                grants = scene.guests.access(member).grants
                check(
                    not any(one.role.id == role.id and one.direct for one in grants),
                    self.test_every_role_can_be_assigned,
                    scene,
                    expected=f"no {role.label}",
                    came=grants,
                    look_at="unassign_role access",
                )

    def test_role_for_a_pending_person_is_refused(self, scene: Scene) -> None:
        """Whoever has not accepted cannot be given a role: Conflict, and nothing is sent."""
        scene.needs("assign_role", "roles")
        scene.invitation("ada")
        role = scene.another_role()
        scene.forget()
        with pytest.raises(errors.Conflict):
            scene.guests.assign_role(scene.address("ada"), role)
        assert not scene.changes()

    def test_unknown_role_is_refused(self, scene: Scene) -> None:
        """A role that the service does not have is UnknownRole, and nothing is sent."""
        scene.needs("assign_role", "roles")
        member = scene.member("ada")
        scene.forget()
        with pytest.raises(errors.UnknownRole):
            scene.guests.assign_role(member.email, "no such role")
        assert not scene.changes()

    def test_access_of_nobody(self, scene: Scene) -> None:
        """Whoever is no member has no access, and the answer says why."""
        scene.needs("access")
        scene.invitation("ada")
        access = scene.guests.access(scene.address("ada"))
        assert not access
        assert access.explanation

    def test_access_of_a_member_without_anything(self, scene: Scene) -> None:
        """Whoever holds nothing is told what that means."""
        scene.needs("access")
        member = scene.member("ada")
        access = scene.guests.access(member)
        if access:
            pytest.skip("members hold something from the beginning here")
        assert access.explanation == scene.provider.no_access

    def _held(self, scene: Scene, email: str) -> set[str]:
        if scene.provider.supports("access"):
            return {one.role.id for one in scene.guests.access(email).grants if one.direct}
        member = scene.guests.status(email).member
        return {role.id for role in (member.roles or ())} if member else set()
