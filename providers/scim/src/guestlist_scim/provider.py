"""The SCIM 2.0 provider: facts of RFC 7643 and RFC 7644, and settings for what services do
differently.

SCIM has no invitations: a user that is created is in at once, and the service decides whether the
person gets an email. Roles are groups.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar

from guestlist.errors import Conflict, GuestlistError
from guestlist.models import Grant, Invitation, Member, MemberState, NewInvitation, Role
from guestlist.provider import (
    Effect,
    Flow,
    Limit,
    Options,
    Page,
    Provider,
    Request,
    Response,
    by_offset,
    every,
    explain,
    operation,
    parse_datetime,
    setting,
)

T = TypeVar("T")

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

_HINTS = {
    "invalidFilter": "The service cannot search like this. Set find_by and find_groups in the"
    " account: see the table of settings.",
    "invalidPath": 'Set removes_members = "by_value" or patch = false in the account.',
    "invalidValue": "If the service requires a name or an external id, give it as an option.",
    "mutability": "The service does not let SCIM clients change this. Change it at the service.",
    "sensitive": "The service refuses personal data in a URL. Set find_by = [] in the account.",
}
"""The hints for the error words of SCIM (RFC 7644, 3.12)."""


class ScimOptions(Options):
    """Attributes of the new user. Some services require some of them."""

    display_name: str = ""
    given_name: str = ""
    family_name: str = ""
    external_id: str = ""


class CursorWithGroups(str):
    """A cursor of the users, with the groups of all users. If it is stored as plain text, the next
    page reads the groups again.

    Args:
        groups: the groups of each user, by the id of the user.
    """

    groups: Mapping[str, tuple[Role, ...]]

    def __new__(cls, cursor: str, groups: Mapping[str, tuple[Role, ...]]) -> CursorWithGroups:
        self = super().__new__(cls, cursor)
        self.groups = groups
        return self


class Scim(Provider):
    """The users and groups of one service, or of one tenant of it, behind a SCIM 2.0 base URL."""

    name = "scim"
    title = "SCIM"
    docs_url = "https://www.rfc-editor.org/rfc/rfc7644"
    Options = ScimOptions
    sandbox = "guestlist_scim.sandbox:ScimService"
    judges = (
        "a real server, scim2-server 0.8.3",
        "scim2-tester 0.5.2",
        "scim2-client 0.13.2",
    )

    media_type = "application/scim+json"
    # Groups are given after the user exists, so that a crash between the two requests loses none.
    most_roles = 0
    role_kinds = ("group",)
    no_access = "The person is a member of no group."
    substitutes: ClassVar[Mapping[str, str]] = {
        "role": "Invite the person, who is in at once, then `assign-role`; or use `onboard`.",
        "email": "SCIM does not say whether the service sends one: turn it off there.",
        "resend": "A SCIM user is in at once: nothing is pending.",
        "revoke": "A SCIM user is in at once: use `remove`.",
        "get_invitation": "A SCIM user is in at once: see `members`.",
    }

    base_url: str = setting(
        "The service's SCIM base URL, the part before /Users", env="SCIM_BASE_URL"
    )
    token: str = setting("Bearer token for SCIM", env="SCIM_TOKEN", secret=True)
    deprovision: Literal["delete", "deactivate"] = setting(
        "What `remove` does: delete the user, or deactivate (set active to false)",
        default="delete",
    )
    find_by: tuple[str, ...] = setting(
        "The attributes by which the service finds an address; empty to read all users",
        default=("userName", "emails.value"),
    )
    find_groups: bool = setting(
        "Whether the service finds the groups of a user (members.value eq ...)", default=False
    )
    groups_in_users: bool = setting(
        "Whether each user has the complete list of groups", default=False
    )
    patch: bool = setting("Whether the service takes PATCH; PUT is used otherwise", default=True)
    removes_members: Literal["by_path", "by_value"] = setting(
        "How a PATCH names who leaves a group: by_path (members[value eq ...]) or by_value",
        default="by_path",
    )
    page_size: int = setting("Records per page; a service may send fewer", default=100)
    requests_per_minute: int = setting(
        "How many requests a minute the service allows; 0 if unknown", default=0
    )

    @property
    def limits(self) -> tuple[Limit, ...]:
        """SCIM has no rate limit of its own. The setting has that of the service."""
        return (Limit(self.requests_per_minute, 60.0),) if self.requests_per_minute > 0 else ()

    @property
    def refuses_duplicates(self) -> bool:
        """The service refuses a userName that is taken (RFC 7643, 4.1.1), and `invite` refuses an
        address of a user with another userName."""
        return True

    def authorize(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def explain(self, response: Response) -> GuestlistError:
        """Returns the error for a refusal, chosen by the `scimType` in its body."""
        error = super().explain(response)
        if error.code == "uniqueness" and response.status == 400:
            return explain(response, Conflict)
        error.hint = _HINTS.get(error.code or "", error.hint)
        if response.status == 401:
            error.hint = "Create a new token for SCIM at the service, and put it into token."
        if response.status == 403 and error.code is None:
            error.hint = "The token needs the service's permission for SCIM, often an owner's."
        if response.status == 404 and error.code is None:
            error.hint = "If nothing is found at all, check base_url: the part before /Users."
        if response.status == 501 or (response.status == 405 and self.patch):
            return explain(response, hint="Set patch = false in the account, if PATCH is refused.")
        return error

    @operation
    def organization(self) -> Flow[str]:
        """Returns where the service is, because SCIM has no name for it. Reads a user, because
        some services show their configuration to everybody."""
        reply = yield Request.get("Users", query={"startIndex": 1, "count": 1})
        int(reply.mapping()["totalResults"])
        return self.base_url.partition("://")[2]

    @operation
    def invite(self, new: NewInvitation) -> Flow[Member]:
        """Creates the user. With `deprovision = "deactivate"`, a user who was removed is activated
        again.

        Raises:
            Conflict: a user has the address. If people are found by their userName alone, it is
                the address, and the service itself refuses it.
        """
        body = {
            "schemas": [USER_SCHEMA],
            "userName": new.login or new.email,
            "emails": [{"value": new.email, "type": "work", "primary": True}],
            "active": True,
            **_attributes(new.options),
        }
        if self.deprovision == "deactivate" or self.find_by != ("userName",):
            known = yield from self.find_member(new.email)
            if known is not None and known.state is MemberState.REMOVED:
                yield from self._set_active(known, True)
                return (yield from self.get_member(known.id))
            if known is not None:
                raise Conflict(f"{new.email} is an address of the user {known.id}")
        reply = yield Request.post("Users", json=body)
        return self._member(reply.mapping())

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """Returns an empty page: SCIM has no invitations."""
        yield from ()
        return Page([])

    @operation
    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        """Returns None: SCIM has no invitations."""
        yield from ()
        return None

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """Returns one page of the users, with their groups. The groups are read with the first
        page, unless the users contain them, and passed on with the cursor."""
        groups = cursor.groups if isinstance(cursor, CursorWithGroups) else None
        if groups is None and not self.groups_in_users:
            found = yield from every(partial(self._list, "Groups", read=_members_of))
            groups = _groups_by_user(found)

        def read(raw: Any) -> Member | None:
            member = self._member(raw, groups)
            return member if member.state is not MemberState.REMOVED else None

        page = yield from self._list("Users", cursor, read=read)
        if page.next is None or groups is None:
            return page
        return replace(page, next=CursorWithGroups(page.next, groups))

    @operation
    def find_member(self, email: str) -> Flow[Member | None]:
        """Returns the user with an address or userName. Each attribute of `find_by` costs a request
        until the user is found."""
        removed = None
        filters: list[str | None] = [_equals(name, email) for name in self.find_by]
        for text in filters or [None]:
            for member in (
                yield from every(partial(self._list, "Users", read=self._member, filter=text))
            ):
                if not is_called(member.raw, email):  # some services ignore a filter
                    continue
                if member.state is not MemberState.REMOVED:
                    return member
                removed = member
        return removed

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        reply = yield Request.get("Users", id)
        return self._member(reply.mapping())

    @operation
    def remove(self, member: Member) -> Flow[None]:
        """Deletes the user, or sets `active` to false, as `deprovision` says."""
        if self.deprovision == "delete":
            yield Request.delete("Users", member.id)
        else:
            yield from self._set_active(member, False)

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """Returns one page of the groups."""
        return (
            yield from self._list("Groups", cursor, read=read_group, excludedAttributes="members")
        )

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        """Adds the user to a group."""
        value = [{"value": member.id}]
        yield from self._change_group(
            role, {"op": "add", "path": "members", "value": value}, member.id, held=True
        )

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        """Takes the user out of a group."""
        change: dict[str, Any] = {"op": "remove", "path": f"members[{_equals('value', member.id)}]"}
        if self.removes_members == "by_value":
            change = {"op": "remove", "path": "members", "value": [{"value": member.id}]}
        yield from self._change_group(role, change, member.id, held=False)

    @operation
    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """Returns the groups of a user. They come from the groups, because many services leave
        them out of the user."""
        if self.groups_in_users:
            now = yield from self.get_member(member.id)
            return tuple(Grant(role=role) for role in now.roles or ())
        text = _equals("members.value", member.id) if self.find_groups else None
        groups = yield from every(partial(self._list, "Groups", read=_members_of, filter=text))
        return tuple(Grant(role=role) for role in _groups_by_user(groups).get(member.id, ()))

    # ------------------------------------------------------------------ helpers of the operations

    def _list(
        self,
        what: str,
        cursor: str | None = None,
        *,
        read: Callable[[Any], T | None],
        **query: str | None,
    ) -> Flow[Page[T]]:
        size = self.page_size

        def page(start: int) -> Request:
            return Request.get(what, query={**query, "startIndex": start, "count": size})

        return (
            yield from by_offset(
                cursor,
                page,
                read,
                "Resources",
                size=size,
                start=1,
                total="totalResults",
                email=address_of,
            )
        )

    def _set_active(self, member: Member, active: bool) -> Flow[None]:
        change = {"op": "replace", "path": "active", "value": active}
        yield from self._change(("Users", member.id), change, lambda _raw: {"active": active})

    def _change_group(
        self, role: Role, change: Mapping[str, Any], user: str, *, held: bool
    ) -> Flow[None]:
        def members(raw: Mapping[str, Any]) -> Mapping[str, Any]:
            others = [one for one in raw.get("members") or () if str(one["value"]) != user]
            return {"members": others + [{"value": user}] * held}

        yield from self._change(("Groups", role.id), change, members)

    def _change(
        self,
        path: tuple[str, str],
        change: Mapping[str, Any],
        fields: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    ) -> Flow[None]:
        """Sends a PATCH; or reads the record, and writes it back with other fields."""
        if self.patch:
            body = {"schemas": [PATCH_SCHEMA], "Operations": [change]}
            yield Request.patch(*path, json=body, effect=Effect.REPEATABLE)
            return
        raw = (yield Request.get(*path)).mapping()
        yield Request.put(*path, json={**raw, **fields(raw)})

    def _member(
        self, raw: Mapping[str, Any], groups: Mapping[str, tuple[Role, ...]] | None = None
    ) -> Member:
        """Reads a user. An inactive user is suspended; if `remove` makes users inactive, removed.

        Args:
            groups: the groups of all users by the id of the user, if they were read.
        """
        address = address_of(raw)
        inactive = MemberState.SUSPENDED
        if self.deprovision == "deactivate":
            inactive = MemberState.REMOVED
        roles = groups.get(str(raw["id"]), ()) if groups is not None else None
        if self.groups_in_users:
            roles = tuple(_read_membership(one) for one in raw.get("groups") or ())
        return Member(
            id=raw["id"],
            email=address,
            login=None if address and _same(raw["userName"], address) else raw["userName"],
            name=name_of(raw),
            roles=roles,
            state=MemberState.ACTIVE if is_active(raw) else inactive,
            joined_at=parse_datetime((raw.get("meta") or {}).get("created")),
            raw=raw,
        )


def _attributes(options: Any) -> dict[str, Any]:
    """Returns the attributes of a new user that the caller gave."""
    given = options or ScimOptions()
    name = {"givenName": given.given_name, "familyName": given.family_name}
    attributes = {
        "displayName": given.display_name,
        "name": {key: one for key, one in name.items() if one},
        "externalId": given.external_id,
    }
    return {key: one for key, one in attributes.items() if one}


def _equals(name: str, value: str) -> str:
    """Returns a filter for one attribute. Its value is a string of JSON (RFC 7644, 3.4.2.2)."""
    return f"{name} eq {json.dumps(value, ensure_ascii=False)}"


def addresses(raw: Mapping[str, Any]) -> Iterator[str]:
    """Yields the email addresses of a user, the primary one first."""
    emails = sorted(raw.get("emails") or (), key=lambda one: not _flag(one.get("primary") or False))
    yield from (one["value"] for one in emails if one.get("value"))
    if "@" in raw["userName"]:
        yield raw["userName"]


def address_of(raw: Mapping[str, Any]) -> str | None:
    """Returns the primary email address of a user, else the first one, else the userName if it is
    an address."""
    return next(addresses(raw), None)


def is_called(raw: Mapping[str, Any], name: str) -> bool:
    """Returns whether one of a user's addresses, or the userName, is a name, compared without
    case."""
    return any(_same(one, name) for one in (raw["userName"], *addresses(raw)))


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def name_of(raw: Mapping[str, Any]) -> str | None:
    """Returns the name of a user for people."""
    parts = raw.get("name") or {}
    both = " ".join(filter(None, (parts.get("givenName"), parts.get("familyName"))))
    return raw.get("displayName") or parts.get("formatted") or both or None


def is_active(raw: Mapping[str, Any]) -> bool:
    """Returns whether a user is active. A record without the attribute counts as active."""
    value = raw.get("active")
    return True if value is None else _flag(value)


def _flag(value: Any) -> bool:
    """Reads a boolean. Some services store what Microsoft Entra sends: the text `False`."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}[value.lower()]


def read_group(raw: Mapping[str, Any]) -> Role:
    """Reads a group."""
    return Role(id=raw["id"], name=raw.get("displayName"), kind="group", raw=raw)


def _read_membership(raw: Mapping[str, Any]) -> Role:
    """Reads a group in the record of a user."""
    return Role(id=raw["value"], name=raw.get("display"), kind="group")


def _members_of(raw: Mapping[str, Any]) -> tuple[Role, list[str]]:
    """Returns a group, whose raw record lacks the members, and the ids of its members."""
    members = raw.get("members") or ()
    group = read_group({name: value for name, value in raw.items() if name != "members"})
    return group, [str(one["value"]) for one in members]


def _groups_by_user(groups: Iterable[tuple[Role, list[str]]]) -> dict[str, tuple[Role, ...]]:
    """Returns the groups of each user, by the id of the user."""
    found: dict[str, tuple[Role, ...]] = {}
    for role, members in groups:
        for id in members:
            found[id] = (*found.get(id, ()), role)
    return found
