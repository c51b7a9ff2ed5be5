"""The Aitronos provider: organizations, through Aitronos' "Freddy" API.

Comments name the source of each fact: Aitronos' documentation (which has two families of pages for
the same requests, "crew management" and "organizations"), or aitronos-sdk 5.0.0, the official
client, which is generated from the service's schema. *Unverified* marks what no source states.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import ConfigDict, SecretStr, ValidationInfo, field_validator

from guestlist.errors import (
    Conflict,
    Forbidden,
    GuestlistError,
    InvalidArgument,
    MalformedResponse,
    NotFound,
)
from guestlist.models import Grant, Invitation, Member, MemberState, NewInvitation, Role, email_key
from guestlist.provider import (
    READING_ERRORS,
    Effect,
    Flow,
    Limit,
    Page,
    Provider,
    RecordProblem,
    Request,
    Response,
    by_offset,
    every,
    explain,
    operation,
    setting,
)
from guestlist_aitronos.reading import (
    INVITED,
    is_invited,
    is_listed_as_invited,
    plain,
    read_bulk,
    read_invitation,
    read_member,
    read_member_who_is_in,
    read_missing_invitation,
    read_role,
    read_status,
    read_summary,
    read_total,
)
from guestlist_aitronos.results import BulkResend, Status

T = TypeVar("T")

PAGE_SIZE = 100
"""Rows of the member list per request: the maximum that crew management allows."""
INVITATIONS_PAGE_SIZE = 25
"""Rows per page of `invitations`, which sends one request per row. At the standard plan's 100
requests a minute, a page of 100 rows would take too long."""
BULK_SIZE = 1000
"""Users per bulk request: the maximum that crew management allows."""

ALREADY_CLOSED = re.compile(r"already (?:been )?(?:accepted|used|a member)", re.IGNORECASE)
"""Matches the text of a 400 or 422 about an invitation that is no longer open. The sample of the
bulk resend has "Invitation already accepted"; that other requests use the same text is
unverified."""

RANK = (
    MemberState.ACTIVE,
    MemberState.SUSPENDED,
    MemberState.INVITED,
    MemberState.REMOVED,
).index
"""Returns the rank of a state. If an address has several records, the lowest rank counts."""


class Aitronos(Provider):
    """An organization on Aitronos."""

    # A missing token has to be validated too: it is required if there is no api_key.
    model_config = ConfigDict(validate_default=True)

    name = "aitronos"
    title = "Aitronos"
    docs_url = (
        "https://docs.aitronos.com/docs/api-reference/organizations/crew-management/introduction"
    )
    sandbox = "guestlist_aitronos.sandbox:AitronosService"
    judges = ("the official SDK aitronos-sdk 5.0",)

    organization_settings = ("organization_id",)
    least_roles = 1  # documentation and SDK: `role_id` is required
    most_roles = 1  # documentation and SDK; "invite v2" takes several, but the SDK does not have it
    # Aitronos' documentation: an Admin or Owner invites, changes roles and deletes people.
    admin_roles = frozenset({"Owner", "Admin"})
    exclusive_kinds = ("role",)  # the member record and its update have a single `role_id`
    can_suppress_email = True  # documentation and SDK: `send_invitation`
    # refuses_duplicates: a member is refused (SDK); for invited people it is unverified
    # The page on the invitation object and the page on validation state it.
    lifetime = timedelta(days=7)
    resend_moves_expiry = False  # whether a resend changes the expiry is unverified
    no_access = "The person is a member and holds no role in the organization."
    substitutes: ClassVar[Mapping[str, str]] = {
        "role": (
            "An Aitronos invitation has exactly one role. Invite with one role;"
            " `assign_role` replaces it after acceptance"
        )
    }
    secret_fields = frozenset({"email_key", "invite"})

    base_url: str = setting("Where the service is", default="https://api.aitronos.com")
    organization_id: str = setting(
        "The organization's id, such as org_...", env="AITRONOS_ORGANIZATION_ID"
    )
    api_key: str | None = setting(
        "An API key of an Admin or Owner", env="FREDDY_API_KEY", default=None, secret=True
    )
    credential: Literal["x-api-key", "bearer"] = setting(
        "How the API key is sent: in X-API-Key, or as Authorization: Bearer", default="x-api-key"
    )
    token: str | None = setting(
        "An access token (JWT), sent as Authorization: Bearer, in addition to the API key if any",
        env="FREDDY_JWT_TOKEN",
        default=None,
        secret=True,
    )
    plan: Literal["standard", "premium"] = setting(
        "The organization's plan, which determines the rate limit", default="standard"
    )

    @field_validator("token")
    @classmethod
    def _check_credentials(cls, token: str | None, info: ValidationInfo) -> str | None:
        settings = info.data
        if token is None and settings.get("api_key", "") is None:
            raise ValueError("it is missing, and so is api_key (or set FREDDY_API_KEY)")
        if token and settings.get("api_key") and settings.get("credential") == "bearer":
            raise ValueError(
                "it uses the same header as api_key with credential = 'bearer'; set only one"
            )
        return token

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The documented limit per minute. The limit per day (10,000 or 100,000) is not used here:
        spread evenly, it would allow one request every nine seconds."""
        return (Limit(1000 if self.plan == "premium" else 100, 60.0),)

    def authorize(self) -> Mapping[str, str]:
        """Returns the header of the configured credential. If both an API key and a token are
        configured, both are sent, as the SDK does."""
        headers: dict[str, str] = {}
        if self.api_key and self.credential == "x-api-key":
            headers["X-API-Key"] = self.api_key
        bearer = self.token or (self.api_key if self.credential == "bearer" else None)
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        return headers

    def explain(self, response: Response) -> GuestlistError:
        error = super().explain(response)
        if response.status in (400, 422) and ALREADY_CLOSED.search(error.message):
            return explain(response, Conflict)
        if isinstance(error, Forbidden) and error.code in (None, "INSUFFICIENT_PERMISSIONS"):
            # According to the SDK any member may invite; the documentation says Admin or Owner.
            return explain(response, hint="The key may have to be an Admin's or an Owner's")
        return error

    # ------------------------------------------------------------------ invitations

    @operation
    def organization(self) -> Flow[str]:
        reply = yield Request.get(*self._path())
        return str(reply.mapping()["name"])

    @operation
    def invite(self, new: NewInvitation) -> Flow[Invitation]:
        """Creates an invitation. One family of answers has no link, the other has no dates. Missing
        values stay None; no second request is sent for them."""
        reply = yield Request.post(
            *self._path("invite-user"),
            json={
                "email": new.email,
                "role_id": new.roles[0].id,
                "send_invitation": new.send_email,
            },
        )
        return read_invitation(
            reply.mapping(),
            email=new.email,
            roles=new.roles,
            organization_id=self.organization_id,
        )

    @operation
    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        """Sends the email again, addressed by user id, and reads the invitation."""
        user_id = invitation.user_id
        if user_id is None:
            user_id = (yield from self._read_again(invitation)).user_id
        if user_id is None:
            raise MalformedResponse("the invitation has no user id of the invited person")
        yield Request.post(*self._path("users", user_id, "resend-invitation"))
        try:
            return (yield from self._read(user_id=user_id))
        except NotFound:
            return invitation

    @operation
    def revoke(self, invitation: Invitation) -> Flow[None]:
        """Cancels an invitation. Only the SDK has this request."""
        id = invitation.id or (yield from self._read_again(invitation)).id
        if id is None:
            raise MalformedResponse("the invitation has no id")
        yield Request.delete(*self._path("invitations", id))

    @operation
    def get_invitation(self, id: str) -> Flow[Invitation]:
        """Returns an invitation by its id, or by the user or membership id of the invited
        person."""
        if id.startswith(("usr_", "orgusr_", "orguser_")):
            return (yield from self._read(user_id=id))
        return (yield from self._read(invitation_id=id))

    @operation
    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        try:
            return (yield from self._read(email=email))
        except NotFound:
            return None

    @operation
    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """Returns one page of the people whose status means that they are invited, each with their
        invitation. Sends one request per person, because Aitronos has no list of invitations. The
        state of a person without an invitation is UNKNOWN."""
        page = yield from self._invited(cursor, INVITATIONS_PAGE_SIZE)
        items: list[Invitation] = []
        problems: list[RecordProblem] = []
        for position, row in enumerate(page.items, 1):
            try:
                if is_listed_as_invited(row, page.section):
                    items.append((yield from self._invitation_of(row)))
            except GuestlistError:
                raise
            except READING_ERRORS as error:
                problems.append(RecordProblem.of(position, row, error))
        left_out = len(page.items) - len(items)
        return replace(page, items=items, left_out=left_out, problems=tuple(problems))

    @operation
    def invitation_summaries(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """Returns one page of the invited people as the member list shows them: with their role and
        the date of their row, without the invitation's id, link and expiry."""
        page = yield from self._invited(cursor, PAGE_SIZE)

        def read(row: Mapping[str, Any]) -> Invitation | None:
            if not is_listed_as_invited(row, page.section):
                return None
            return read_summary(row, organization_id=self.organization_id)

        return Page.of(
            page.items,
            read,
            page.next,
            page.total,
            moved=page.moved,
            section=page.section,
        )

    def _invited(self, cursor: str | None, take: int) -> Flow[Page[Any]]:
        """Returns one page of unread rows that include the invited people. Its section is the id of
        the requested status, or empty if all people are listed.

        The cursor consists of the ids of the statuses yet to be listed and the offset:
        `status_1,status_2:25/40`.
        """
        if cursor is None:
            statuses = yield from self.statuses()
            waiting = [status.id for status in statuses if plain(status.name) in INVITED]
            place = None
        else:
            ids, _, text = cursor.rpartition(":")
            waiting, place = ids.split(","), text
        # Without such a status, all people are read, and those who are not invited are left out.
        asked = {"status_id": waiting[0]} if waiting and waiting[0] else {}
        # Oldest first, so that people who are added meanwhile come last and shift no other row.
        sorting = {"sort_field": "created_at", "sort_direction": "asc"}
        rows = yield from self._rows(place, take, _unread, **asked, **sorting)
        if rows.next is not None:
            more: str | None = f"{','.join(waiting)}:{rows.next}"
        else:
            more = f"{','.join(waiting[1:])}:0" if waiting[1:] else None
        section = waiting[0] if asked else ""
        return Page(rows.items, more, rows.total, moved=rows.moved, section=section)

    # ------------------------------------------------------------------ members

    @operation
    def get_member(self, id: str) -> Flow[Member]:
        """Returns a member by membership id or user id."""
        reply = yield Request.get(*self._path("users", id))
        row = reply.mapping()
        if is_invited(row):
            raise NotFound(f"{id} is invited and has not accepted yet")
        return read_member(row)

    @operation
    def find_member(self, email: str) -> Flow[Member | None]:
        """Returns the member with an email address. People who were removed or are only invited are
        returned too, in that state."""
        wanted = email_key(email)

        def listing(cursor: str | None) -> Flow[Page[Any]]:
            search: dict[str, str | bool] = {"search_term": email, "include_deleted": True}
            return (yield from self._rows(cursor, PAGE_SIZE, _unread, **search))

        def read(row: Mapping[str, Any]) -> Member | None:
            return read_member(row) if email_key(row["email"]) == wanted else None

        found = Page.of((yield from every(listing)), read)
        if not found.items and found.problems:
            raise MalformedResponse(f"the member's record cannot be read: {found.problems[0]}")
        return min(found.items, key=lambda member: RANK(member.state), default=None)

    @operation
    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        return (yield from self._members(cursor))

    @operation
    def search(
        self, term: str, cursor: str | None = None, *, include_deleted: bool = False
    ) -> Flow[Page[Member]]:
        """Returns one page of the members whose name, email address or user name contains `term`.

        Args:
            term: the text to search for.
            cursor: where the page starts.
            include_deleted: whether removed members are included, for example to `restore` them.
        """
        deleted = {"include_deleted": True} if include_deleted else {}
        return (yield from self._members(cursor, search_term=term, **deleted))

    @operation
    def remove(self, member: Member) -> Flow[None]:
        """Removes a member; `restore` undoes it. The owner cannot be removed."""
        yield Request.delete(*self._path("users", member.id, "delete"))

    @operation
    def restore(self, member: Member) -> Flow[None]:
        """Restores a removed member."""
        yield Request.post(*self._path("users", member.id, "restore"), effect=Effect.REPEATABLE)

    @operation
    def statuses(self) -> Flow[tuple[Status, ...]]:
        """Returns the statuses of the organization, including those that are no longer in use."""
        reply = yield Request.get(*self._path("statuses"), query={"active_only": False})
        return tuple(read_status(raw) for raw in reply.items("statuses"))

    @operation
    def set_status(self, member: Member, status: Status | str) -> Flow[Member]:
        """Gives a member another status, such as `Inactive`, and returns the changed member.

        Args:
            member: the member.
            status: one of `statuses`, or its name or id.

        Raises:
            InvalidArgument: the organization has no such status.
        """
        if isinstance(status, str):
            status = yield from self._status(status)
        reply = yield Request.put(*self._path("users", member.id), json={"status_id": status.id})
        row = reply.mapping()
        if "email" not in row:  # in one family of pages, the answer is only a confirmation
            reply = yield Request.get(*self._path("users", member.id))
            row = reply.mapping()
        return read_member(row)

    # ------------------------------------------------------------------ roles

    @operation
    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """Returns all roles, the system's and the organization's own. This list has no pages."""
        reply = yield Request.get(*self._path("roles"))
        return Page.of(reply.records("roles"), read_role)

    @operation
    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        """Gives a member the role. It replaces the present role."""
        yield Request.put(*self._path("users", member.id), json={"role_id": role.id})

    @operation
    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        """Takes a role away from a member. The last owner cannot lose the owner's role."""
        user_id = member.user_id or member.id
        yield Request.delete(*self._path("roles", role.id, "members", user_id))

    @operation
    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """Returns the role in the member record. The role's description lists what it allows."""
        reply = yield Request.get(*self._path("users", member.id))
        held = read_member(reply.mapping()).roles
        if not held:
            return ()
        page = yield from self.roles()
        known = {role.id: role for role in page.items}
        return tuple(Grant(role=known.get(role.id, role)) for role in held)

    # ------------------------------------------------------------------ only on Aitronos

    @operation
    def bulk_resend(self, user_ids: Sequence[str]) -> Flow[BulkResend]:
        """Sends the emails of many invitations again with one request. Some may fail while others
        succeed.

        Args:
            user_ids: user or membership ids of invited people, at most 1,000.

        Raises:
            InvalidArgument: there are more than 1,000 ids.
        """
        if len(user_ids) > BULK_SIZE:
            raise InvalidArgument(
                f"{len(user_ids)} invitations are too many for one bulk resend",
                hint=f"Send at most {BULK_SIZE} ids at a time",
            )
        reply = yield Request.post(
            *self._path("users", "resend-invitation-bulk"), json={"user_ids": list(user_ids)}
        )
        return read_bulk(reply.mapping())

    @operation
    def validate_key(self, key: SecretStr | str) -> Flow[Invitation]:
        """Returns the invitation that a key belongs to. Sent without credentials.

        Raises:
            NotFound: the key does not exist.
            Rejected: the invitation has expired.
            Conflict: the key was used.
        """
        secret = key if isinstance(key, SecretStr) else SecretStr(key)
        reply = yield Request.get("v1", "invitations", "validate", secret, public=True)
        invitation = read_invitation(reply.mapping(), organization_id=self.organization_id)
        return invitation.model_copy(update={"key": secret})

    # ------------------------------------------------------------------ parts of flows

    def _path(self, *rest: str) -> tuple[str, ...]:
        return ("v1", "organizations", self.organization_id, *rest)

    def _read(self, **selector: str) -> Flow[Invitation]:
        """Returns the pending invitation, found by exactly one of `email`, `user_id` and
        `invitation_id`."""
        reply = yield Request.get(*self._path("invitation"), query=selector)
        return read_invitation(reply.mapping(), organization_id=self.organization_id)

    def _read_again(self, invitation: Invitation) -> Flow[Invitation]:
        """Reads an invitation again, to get the fields that a shorter answer left out."""
        if invitation.id is not None:
            return (yield from self._read(invitation_id=invitation.id))
        return (yield from self._read(email=invitation.email or ""))

    def _invitation_of(self, row: Mapping[str, Any]) -> Flow[Invitation]:
        try:
            return (yield from self._read(user_id=row.get("user_id") or row["id"]))
        except NotFound:
            return read_missing_invitation(row, organization_id=self.organization_id)

    def _rows(
        self,
        cursor: str | None,
        take: int,
        read: Callable[[Any], T | None],
        **filters: str | bool,
    ) -> Flow[Page[T]]:
        """Returns one page of the member list, which contains invited people too."""

        def page(skip: int) -> Request:
            body = {"skip": skip, "take": take, **filters}
            return Request.post(*self._path("users"), json=body, effect=Effect.READ)

        names = ("users", "members")
        return (yield from by_offset(cursor, page, read, *names, size=take, total=read_total))

    def _members(self, cursor: str | None, **filters: str | bool) -> Flow[Page[Member]]:
        return (yield from self._rows(cursor, PAGE_SIZE, read_member_who_is_in, **filters))

    def _status(self, name: str) -> Flow[Status]:
        statuses = yield from self.statuses()
        for status in statuses:
            if name == status.id or plain(name) == plain(status.name):
                return status
        raise InvalidArgument(
            f"there is no status {name!r}",
            hint=f"The statuses are: {', '.join(status.name for status in statuses)}",
        )


def _unread(row: Any) -> Any:
    """Returns a row of the member list as it is, for a flow that reads it later."""
    return row
