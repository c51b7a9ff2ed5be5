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
from pytest_guestlist.conformance.base import Rules
from pytest_guestlist.conformance.scene import HOUR, Scene


class Several(Rules):
    """Members with two roles, members with an invitation, and people with two invitations."""

    # ------------------------------------------------------------------ several roles

    def test_member_holds_two_roles(self, scene: Scene) -> None:
        """A member can hold two roles, of two kinds if the service has them: `access` and the
        member records show both, each with its kind.

        Likely cause: the code that reads a member or a grant looks at one kind of role only, reads
        only the first role, or gives every role the same kind.
        """
        member, roles = self._with_two_roles(scene)
        wanted = {(role.kind, role.id) for role in roles}
        for name, held in self._shown(scene, member).items():
            found = {(role.kind, role.id) for role in held}
            scene.check(wanted <= found, expected=roles, came=held, look_at=name)

    def test_assigning_leaves_other_roles(self, scene: Scene) -> None:
        """`assign_role` adds a role and takes none away, of whatever kind, except those that
        `replaced_by` returns.

        Likely cause: the service replaces the whole list of roles, and the request contains only
        the new one.
        """
        member, roles = self._with_two_roles(scene)
        self._holds(scene, member, [role.id for role in roles], "assign_role")

    def test_unassigning_leaves_other_roles(self, scene: Scene) -> None:
        """`unassign_role` takes one role away, and the member keeps all others.

        Likely cause: the request sets or deletes the whole list of roles, or deletes the member.
        """
        scene.needs("unassign_role")
        member, (first, second) = self._with_two_roles(scene)
        for taken, kept in ((first, second), (second, first)):
            if taken.kind in scene.provider.mandatory_kinds:
                continue  # a member always has one
            member = self._read_again(scene, member)
            scene.guests.unassign_role(member, taken)
            self._holds(scene, member, [kept.id], "unassign_role", without=taken.id)
            scene.guests.assign_role(member, taken)

    def test_last_role(self, scene: Scene) -> None:
        """Taking the last role away never takes the person out: the person stays a member without
        a role, or `unassign_role` refuses and nothing changes. Only `remove` takes people out.

        Likely cause: the service drops a member who has no role left. Read the member first, and
        raise `Conflict` if the role is the last one.
        """
        scene.needs("assign_role", "unassign_role")
        member = scene.member("ada")
        held = self._direct(scene, member)
        if not held:
            scene.guests.assign_role(member, scene.another_role())
            held = self._direct(scene, member)
        for role in held:
            try:
                scene.guests.unassign_role(scene.address("ada"), role)
            except (ServiceRefusal, Unsupported):
                break  # the service or the provider refuses
            except GuestlistError as error:
                scene.remark(
                    expected="a member without a role, or a refusal",
                    came=repr(error),
                    look_at="unassign_role access",
                )
        scene.stands(scene.address("ada"), State.ACCEPTED, look_at="unassign_role")

    def test_remove_takes_every_role(self, scene: Scene) -> None:
        """`remove` takes out a member who holds several roles, completely.

        Likely cause: `remove` consists of one request for each role, team or seat, and some of them
        are missing.
        """
        scene.needs("remove")
        member, _ = self._with_two_roles(scene)
        scene.guests.remove(self._read_again(scene, member))
        found = scene.status("ada")
        scene.check(
            (found.member is None or found.member.state is MemberState.REMOVED)
            and found.state is not State.ACCEPTED,
            expected=f"{scene.address('ada')} is gone",
            came=found,
            look_at="remove",
        )

    # ------------------------------------------------------------------ a member with an invitation

    def test_member_who_is_invited(self, scene: Scene) -> None:
        """A member with an open invitation is a member: the status is accepted, and both lists
        have the person.

        Likely cause: a list leaves out records of people who are in the other list, or keeps only
        one record for each address.
        """
        member, one = self._invited_member(scene)
        found = scene.stands(scene.address("ada"), State.ACCEPTED, look_at="members invitations")
        scene.check(
            found.member is not None
            and found.member.id == member.id
            and [other.id for other in found.invitations] == [one.id],
            expected=f"the member {member.id} with the open invitation {one.id}",
            came=found,
            look_at="members find_member invitations find_invitation",
        )
        if scene.provider.supports("members"):
            ids = [other.id for other in scene.guests.members()]
            scene.check(member.id in ids, expected=member, came=ids, look_at="members")
        listed = [other.id for other in self._open(scene)]
        look_at = "invitations find_invitation"
        scene.check(listed == [one.id], expected=[one.id], came=listed, look_at=look_at)

    def test_revoke_leaves_the_member(self, scene: Scene) -> None:
        """`revoke` withdraws the invitation of a member, and the person stays a member with the
        same roles.

        Likely cause: `revoke` deletes the person or the membership. If the service has no other
        call, raise `Conflict` for the invitation of a member.
        """
        scene.needs("revoke")
        member, one = self._invited_member(scene)
        before = {role.id for role in self._direct(scene, member)}
        try:
            scene.run(scene.provider.revoke(one))
        except ServiceRefusal:
            pass  # the member has to stay all the same
        else:
            found = self._open(scene)
            scene.check(not found, expected="no open invitation", came=found, look_at="revoke")
        scene.stands(scene.address("ada"), State.ACCEPTED, look_at="revoke")
        self._holds(scene, member, sorted(before), "revoke")

    def test_remove_withdraws_the_invitation(self, scene: Scene) -> None:
        """After `remove` of a member with an open invitation, the person is neither a member nor
        invited.

        Likely cause: `revoke` fails for the invitation of a person who was a member.
        """
        scene.needs("remove", "revoke")
        self._invited_member(scene)
        scene.guests.remove(scene.address("ada"))
        found = scene.status("ada")
        scene.check(
            found.member is None and found.state not in OPEN_STATES,
            expected="neither a member nor an open invitation",
            came=found,
            look_at="remove revoke",
        )

    # ------------------------------------------------------------------ two invitations

    def test_two_invitations(self, scene: Scene) -> None:
        """If a person has two open invitations, both are listed, each with its own role.

        Likely cause: records are kept in a dictionary by address, or the role of the first record
        is used for both.
        """
        both = self._invited_twice(scene)
        wanted = {one.id: [role.id for role in one.roles] for one in both}
        found = {one.id: [role.id for role in one.roles] for one in self._open(scene)}
        scene.check(found == wanted, expected=wanted, came=found, look_at="invitations")

    def test_revoke_leaves_the_other_invitation(self, scene: Scene) -> None:
        """`revoke` of one of two invitations withdraws that one, and the other stays open.

        Likely cause: `revoke` addresses the person and not the invitation.
        """
        scene.needs("revoke")
        first, second = self._invited_twice(scene)
        scene.run(scene.provider.revoke(second))
        found = [one.id for one in self._open(scene)]
        scene.check(found == [first.id], expected=[first.id], came=found, look_at="revoke")

    def test_revoke_by_address_withdraws_both(self, scene: Scene) -> None:
        """After `revoke` of a person with two open invitations, nobody can get in with either.

        Likely cause: `invitations` does not list both, or `revoke` reports success although the
        invitation stays open.
        """
        scene.needs("revoke")
        both = self._invited_twice(scene)
        scene.guests.revoke(scene.address("ada"))
        found = self._open(scene)
        scene.check(not found, expected="no open invitation", came=found, look_at="revoke")
        for one in both:
            with suppress(Exception):  # the service refuses
                scene.setting.accept(one)
        scene.stands(scene.address("ada"), State.GONE, State.REVOKED, look_at="revoke invitations")

    def test_resend_leaves_the_other_invitation(self, scene: Scene) -> None:
        """`resend` of one of two invitations sends that one again: it is returned with its own
        role, and the other stays as it was.

        Likely cause: `resend` addresses the person, or reads the first invitation of the address.
        """
        scene.needs("resend")
        first, second = self._invited_twice(scene)
        scene.setting.forward(HOUR)
        for one, other in ((first, second), (second, first)):
            value = scene.run(scene.provider.resend(one))
            scene.check(
                {role.id for role in value.roles} == {role.id for role in one.roles},
                expected=one,
                came=value,
                look_at="resend",
            )
            found = [each.id for each in self._open(scene)]
            scene.check(other.id in found, expected=other, came=found, look_at="resend")

    def test_duplicate_with_another_role(self, scene: Scene) -> None:
        """With `refuses_duplicates`, a second invitation is refused also if it offers another role:
        guestlist then invites without looking first.

        Likely cause: the service refuses a second invitation only if it offers the same role, or
        `explain` does not return `Conflict` for its refusal. In the first case, do not declare
        `refuses_duplicates`.
        """
        if not scene.provider.refuses_duplicates:
            pytest.skip("refuses_duplicates is not declared: guestlist looks before it invites")
        first, second = self._two_offers(scene)
        scene.run(scene.provider.invite(first))
        before = scene.setting.emails(first.email)
        with scene.refused(Conflict, look_at="refuses_duplicates explain", tried=True):
            scene.run(scene.provider.invite(second))
        scene.mailed(first.email, before, "refuses_duplicates")

    def test_invalid_invitation_is_no_conflict(self, scene: Scene) -> None:
        """What the service refuses because it is invalid is not a `Conflict`: guestlist takes a
        `Conflict` of `invite` as proof that the person is invited or a member.

        Likely cause: `explain` returns `Conflict` for a status without looking at the error code or
        text.
        """
        scene.needs("invite")
        usual = scene.new_invitation("ada")
        wrong = [usual.model_copy(update={"email": "nobody"})]
        if usual.roles:
            wrong.append(usual.model_copy(update={"roles": (Role(id="no-such-role"),)}))
        for new in wrong:
            try:
                scene.run(scene.provider.invite(new))
            except GuestlistError as error:
                scene.check(
                    not isinstance(error, Conflict),
                    expected="Rejected, or another error that is not a Conflict",
                    came=repr(error),
                    look_at="explain",
                )

    def test_link_is_that_of_the_email(self, scene: Scene) -> None:
        """The `link` of an invitation lets the invitee accept, as the link in the email does.

        Likely cause: the link is put together from the fields of a record, and the token is
        missing; or it is the address of a page for administrators.
        """
        one = scene.invitation("ada")
        if one.link is None:
            pytest.skip("the service shows no link")
        scene.check(
            scene.setting.is_link_of_email(one),
            expected="the link in the email",
            came="another link (not shown, because it may be a secret)",
            look_at="invite",
        )

    # ------------------------------------------------------------------ parts of tests

    def _with_two_roles(self, scene: Scene) -> tuple[Member, list[Role]]:
        """Returns a member who was assigned two roles, of two kinds if there are two."""
        scene.needs("assign_role", "roles")
        member = scene.member("ada")
        held = self._direct(scene, member)
        ids = [role.id for role in held]
        free = [
            role
            for role in scene.assignable_roles()
            if role.id not in ids and "owner" not in role.label.lower()
        ]
        pairs = list(combinations([*free, *held], 2))
        pairs = [
            (one, other)
            for one, other in pairs
            if not {one, other} <= set(held)
            and not scene.provider.replaced_by(one, [other])
            and not scene.provider.replaced_by(other, [one])
        ]
        if not pairs:
            pytest.skip("a new member cannot be assigned a second role besides another one here")
        pair = min(pairs, key=lambda pair: pair[0].kind == pair[1].kind)
        for role in pair:
            scene.guests.assign_role(scene.address("ada"), role)
        return member, list(pair)

    def _invited_member(self, scene: Scene) -> tuple[Member, Invitation]:
        """Returns a member who was invited once more, and that invitation."""
        member = scene.member("ada")
        new = scene.new_invitation("ada")
        if new.roles:
            new = new.model_copy(update={"roles": (scene.another_role(new.roles, offered=True),)})
        one = self._second(scene, new, "invites no members")
        if one.state is State.ACCEPTED:
            pytest.skip("inviting a member changes the membership here")
        return member, one

    def _invited_twice(self, scene: Scene) -> tuple[Invitation, Invitation]:
        """Returns two open invitations of one person, each with a role of its own."""
        scene.needs("invitations")
        first, second = self._two_offers(scene)
        one = scene.run(scene.provider.invite(first))
        if not isinstance(one, Invitation):
            pytest.skip("an invited person becomes a member at once here")
        other = self._second(scene, second, "accepts no second invitation of a person")
        if one.id is None or one.id == other.id:
            pytest.skip("a second invitation takes the place of the first here")
        return one, other

    def _open(self, scene: Scene) -> list[Invitation]:
        """Returns the open invitations of the person, from the list if there is one."""
        found = [scene.status("ada").invitation]
        if scene.provider.supports("invitations"):
            found = list(scene.guests.invitations())
        key = email_key(scene.address("ada"))
        return [
            one for one in found if one and email_key(one.email) == key and one.state in OPEN_STATES
        ]

    def _two_offers(self, scene: Scene) -> tuple[NewInvitation, NewInvitation]:
        scene.needs("invite")
        first = scene.new_invitation("ada")
        if not first.roles:
            pytest.skip("an invitation takes no role here")
        other = scene.another_role(first.roles, offered=True)
        return first, first.model_copy(update={"roles": (other,)})

    def _second(self, scene: Scene, new: NewInvitation, what: str) -> Invitation:
        try:
            one = scene.run(scene.provider.invite(new))
        except (Conflict, Rejected, ServiceRefusal) as error:
            pytest.skip(f"the service {what}: {error.message}")
        if not isinstance(one, Invitation):
            pytest.skip("an invited person becomes a member at once here")
        return one

    def _read_again(self, scene: Scene, member: Member) -> Member:
        return scene.guests.status(scene.address("ada")).member or member

    def _shown(self, scene: Scene, member: Member) -> dict[str, Sequence[Role]]:
        """Returns the direct roles of a member by the operation that shows them."""
        found: dict[str, Sequence[Role]] = {}
        if scene.provider.supports("access"):
            found["access"] = self._direct(scene, member)
        records: dict[str, Member | None] = {}
        if scene.provider.supports("get_member"):
            records["get_member"] = scene.run(scene.provider.get_member(member.id))
        if scene.provider.supports("find_member"):
            records["find_member"] = scene.run(scene.provider.find_member(scene.address("ada")))
        if scene.provider.supports("members"):
            listed = [one for one in scene.guests.members() if one.id == member.id]
            records["members"] = listed[0] if listed else None
        for name, record in records.items():
            if record is not None and record.roles is not None:
                found[name] = record.roles
        return found

    def _direct(self, scene: Scene, member: Member) -> list[Role]:
        """Returns the roles that a member holds directly, as far as the provider shows them."""
        if scene.provider.supports("access"):
            grants = scene.guests.access(scene.address("ada")).grants
            return [grant.role for grant in grants if grant.direct]
        return list(self._read_again(scene, member).roles or ())

    def _holds(
        self, scene: Scene, member: Member, ids: list[str], look_at: str, *, without: str = ""
    ) -> None:
        held = {role.id for role in self._direct(scene, member)}
        scene.check(
            held >= set(ids) and without not in held,
            expected=f"{', '.join(ids) or 'nothing'}" + f", without {without}" * bool(without),
            came=sorted(held),
            look_at=f"{look_at} access",
        )
