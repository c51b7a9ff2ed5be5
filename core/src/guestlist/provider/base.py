"""The `Provider` class: facts, settings and operations of one service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from guestlist.errors import GuestlistError, Unsupported
from guestlist.humanize import similar_name
from guestlist.models import Grant, Invitation, Member, NewInvitation, Role
from guestlist.provider.explanations import explain
from guestlist.provider.messages import Limit, Page, Response, Token
from guestlist.provider.operations import PHRASES, Flow
from guestlist.provider.settings import (
    check_declared_urls,
    check_named_settings,
    check_url,
    fill_from_environment,
    is_secret,
    setting,
    settings_error,
    urls,
)

R = TypeVar("R")

NEVER = timedelta.max
"""The `Provider.lifetime` of a service whose invitations never expire."""


class Options(BaseModel):
    """The base class of a provider's invitation options. An unknown option is an error.

        class AcmeOptions(Options):
            message: str = ""  # text for the email

        class Acme(Provider):
            Options = AcmeOptions

            @operation
            def invite(self, new):
                options = new.options or AcmeOptions()
                body = {"email": new.email, "message": options.message}
                ...

    Callers write `invite(..., options={"message": "Hello"})` or `--option message=Hello`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Provider(BaseModel):
    """The API of one service, with the settings of one account on it.

    A subclass declares facts (class attributes), settings (fields made with `setting`) and
    operations (methods marked with `@operation`). An operation that the subclass does not define is
    unsupported: calling it raises `Unsupported` before any request is sent.

    Raises:
        ConfigError: on construction, if a setting is missing, unknown or invalid.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, ignored_types=(property,)
    )

    # ------------------------------------------------------------------ facts

    name: ClassVar[str]
    """The name of the provider in configuration files and on the command line, in lower case."""
    title: ClassVar[str]
    """The name of the service in messages, such as `Acme Cloud`."""
    docs_url: ClassVar[str] = ""
    """URL of the page where the service documents its invitations."""
    Options: ClassVar[type[BaseModel]] = Options
    """The class of the invitation options that only this service has."""
    sandbox: ClassVar[str | None] = None
    """Where to import the sandbox from, as `module:Class`. The sandbox is a local imitation of the
    service, and the class is a subclass of `guestlist.sandbox.Service`."""
    judges: ClassVar[tuple[str, ...]] = ()
    """References by other authors that the provider and its sandbox are tested against, such as
    `("PyGithub 2.10", "GitHub's OpenAPI description")`: a real server, an official SDK, or an
    official description of the API."""
    least_roles: ClassVar[int] = 0
    """The smallest number of roles that an invitation must have."""
    most_roles: ClassVar[int | None] = 0
    """The largest number of roles that an invitation can have: 0 if roles can only be assigned
    after acceptance, None for no maximum."""
    role_kinds: ClassVar[tuple[str, ...]] = ("role",)
    """The kinds of roles that the service has, in its own words, such as `("team", "project")`.
    Every `Role.kind` is one of them. People write a role of a kind other than `role` as
    `team:Engineering`."""
    exclusive_kinds: ClassVar[tuple[str, ...]] = ()
    """The kinds of roles of which a member has at most one, so that assigning a role replaces the
    previous one of its kind."""
    mandatory_kinds: ClassVar[tuple[str, ...]] = ()
    """The kinds of roles of which a member always has one. An invitation needs a role of each, and
    a member's last one can only be replaced."""
    invitation_kinds: ClassVar[tuple[str, ...] | None] = None
    """The kinds of roles that an invitation can have; None for all `role_kinds`. Roles of the other
    kinds are deferred until the invitation is accepted."""
    members_show_emails: ClassVar[bool] = True
    """Whether every member record of a person contains the email address. If not, a person is
    recognized among the members by the login. Without a login, guestlist cannot know whether an
    address belongs to a member, and treats that as unknown."""
    finds_logins: ClassVar[bool] = False
    """Whether `find_invitation` and `find_member` also take a login, with a leading `@`, such as
    `@ada-l`."""
    hides_suspension: ClassVar[bool] = False
    """Whether the service can suspend (lock out) a member without showing it in the member records.
    If so, guestlist reports that it cannot be known whether a member is suspended. If not, such a
    member has `MemberState.SUSPENDED`."""
    admin_roles: ClassVar[frozenset[str]] = frozenset()
    """The roles with which a person administers the organization, such as
    `frozenset({"owner", "admin"})`, as far as the service documents them: the id or the name of a
    role of the kind `role`, and `kind:name` or `kind:id` for other kinds. Empty if that is not
    known. Then guestlist reports no one as an administrator, and states why."""
    organization_settings: ClassVar[tuple[str, ...]] = ()
    """The names of the settings that identify the organization within the service, such as
    `("organization_id",)`. Two accounts that agree in them and in `base_url` are the same
    organization, even if their keys differ. Leave it empty if the key decides."""
    one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of settings of which an account has exactly one, such as `(("group", "project"),)`.
    Their default is None."""
    can_suppress_email: ClassVar[bool] = False
    """Whether an invitation can be created without sending an email."""
    lifetime: ClassVar[timedelta | None] = None
    """How long an invitation can be accepted: `NEVER` if invitations never expire, None if that is
    not known."""
    keeps_revoked: ClassVar[bool] = False
    """Whether the service still returns an invitation by its id after it was revoked. If it does,
    `revoke` with an id that the service does not have raises `NotFound`. If not, `revoke` returns
    `already_revoked` for such an id, sends nothing, and warns that the invitation has ended or
    never existed. If accepted invitations vanish too, the id may be that of an accepted one."""
    shows_prepared: ClassVar[bool] = True
    """Whether a record that an `Effect.PREPARE` request has created looks like an invitation before
    its email is sent. If so, guestlist does not take it for one: it completes the flow, or reports
    that the outcome is unknown."""
    resend_moves_expiry: ClassVar[bool] = False
    """Whether a resend is known to change `expires_at`. guestlist then uses `expires_at` to find
    out whether a resend that got no answer took effect."""
    late_effect: ClassVar[float] = 30.0
    """Seconds after which a request that got no answer can no longer take effect: the longest that
    the service may still work on a request after its connection was lost. Keep 30 s if nothing is
    known."""
    list_lag: ClassVar[float] = 0.0
    """Seconds for which the service's lists may still lack a record that it has just created,
    because of replicas or caches. For that long, the client remembers the records that it created.
    0 if a list read after the answer always contains the record. Declare it, even as 0, if it is
    known: then the simulation tries no other value."""
    counts_seats: ClassVar[bool] = False
    """Whether the service limits the number of members and open invitations. If so, a run removes
    people before it invites others. `explain` has to return `SeatLimit` for the refusal."""
    limits_count_addresses: ClassVar[bool] = False
    """Whether the service counts its rate limits per network address. If so, all accounts used from
    one address share the limits."""
    no_access: ClassVar[str] = "The person is a member and holds nothing that can be granted."
    """The explanation that `explain_access` returns for an empty list of grants."""
    substitutes: ClassVar[Mapping[str, str]] = {}
    """Alternatives to unsupported features, as sentences. The keys are names of
    operations, `role`, `email`, `link`, or `login` if it is unknown whether an address is a
    member's."""
    media_type: ClassVar[str] = "application/json"
    """The media type of the JSON that the service takes and answers, such as
    `application/vnd.api+json` or `application/scim+json`. Sent as `Accept`, and as `Content-Type`
    with a JSON body."""
    trailing_slash: ClassVar[bool] = False
    """Whether the path of each URL of the service ends with a slash, as in Django."""
    media_types: ClassVar[frozenset[str]] = frozenset()
    """The media types of the service's answers besides JSON (`application/json`, `+json`), in lower
    case; `text/plain` if the service answers `OK`, for example. A 2xx answer whose body has another
    type does not prove success: it may come from a proxy or a maintenance page."""
    secret_fields: ClassVar[frozenset[str]] = frozenset()
    """The names of JSON fields and query parameters of this service that contain secrets."""

    # ------------------------------------------------------------------ settings

    _secret_files: dict[str, Path] = PrivateAttr(default_factory=dict)
    """Files from which secret settings were read, by the name of the setting. The exchange reads
    them again when they change: see `guestlist.exchange.secret_files`."""
    base_url: str = setting("Where the service is")
    """Redeclare this setting with a default if the service has one URL for all customers:

        base_url: str = setting("Where Acme is", default="https://api.acme.example/v1")

    If each customer has a host name, put the name of another setting into the default, in braces.
    The value of that setting replaces the braces; it may consist of letters, digits, dashes and
    dots. A `base_url` in the configuration overrides the default.

        tenant: str = setting("The name before .acme.example", env="ACME_TENANT")
        base_url: str = setting("Where Acme is", default="https://{tenant}.acme.example/api")

    The default must be a string. Defining the class with another type, a callable or a property
    raises TypeError.
    """

    @property
    def limits(self) -> tuple[Limit, ...]:
        """How many requests the service allows. May depend on the account's plan."""
        return ()

    @property
    def refuses_duplicates(self) -> bool:
        """Whether the service is known to refuse an invitation for an address that is already
        invited or a member, with an error that `explain` turns into `Conflict`. May depend on the
        account's settings.

        Only if this is true does guestlist invite without first checking for an existing invitation
        or member.
        """
        return False

    @property
    def refuses_members(self) -> bool:
        """Whether the service is known to refuse an invitation for the address of a member, with an
        error that `explain` turns into `Conflict`. By default the same as `refuses_duplicates`.

        Matters if the service does not show the addresses of members. Only if this is true does
        guestlist invite an address that may belong to a member.
        """
        return self.refuses_duplicates

    @property
    def invites_unknown(self) -> bool:
        """Whether guestlist may invite an address that may already belong to a member. That is
        unknown if the service does not show the addresses of members (`members_show_emails`) and no
        login is given. May depend on the account's settings.

        Declare it for a service that gives a member the role of the invitation instead of refusing
        the invitation, if the account's owner accepts that.
        """
        return False

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of every request, such as the API version. May depend on the account's settings.
        Put credentials into `authorize` instead.

            return {"X-Acme-Version": "2026-05-01"}

        `media_type` declares the media type of bodies. `Accept` may be given here if it differs.
        """
        return {}

    # ------------------------------------------------------------------ with a default

    def authorize(self) -> Mapping[str, str]:
        """Returns the headers that carry the account's credentials. They are sent to `base_url`
        only. For credentials that have to be fetched, define `fetch_token`.

        A value may be derived from a secret, such as `Basic` with user and password in base64. Each
        value, and the part after the scheme, is masked like the secret settings. Return only
        headers that contain a secret; put all others into `headers`.
        """
        return {}

    def copy_of(self, invitation: Invitation) -> NewInvitation:
        """Returns the arguments that create the same invitation again. guestlist uses it to renew
        an expired invitation, and for a resend that consists of `revoke` and `invite`.

        The default copies the address, the login and the roles. Override it if the service reports
        the options of an invitation:

            def copy_of(self, invitation):
                options = AcmeOptions(message=invitation.raw.get("message") or "")
                return super().copy_of(invitation).model_copy(update={"options": options})
        """
        return NewInvitation(
            email=invitation.email or "", login=invitation.login, roles=invitation.roles
        )

    def explain(self, response: Response) -> GuestlistError:
        """Returns the error for an answer outside 2xx.

        The default reads the usual error bodies, and chooses the class by the status. Override it
        if the service reports conflicts or missing records in another way, and call
        `super().explain` for the remaining answers.

        A 5xx may come after the request took effect, and is `ServiceUnavailable`. If the answer
        states explicitly that the service refused and nothing has happened, return `Rejected`: the
        request then counts as refused, and is neither repeated nor looked for.

        A returned `RateLimited` has the effect of a 429 for every 4xx status: the account pauses,
        and the request is retried. Set its `retry_after` (seconds) if the service reports the delay
        somewhere other than in the usual headers.
        """
        return explain(response)

    def refusal(self, response: Response) -> GuestlistError | None:
        """Returns the error that a 2xx answer contains, or None if the request succeeded.

        Override it for a service that reports failures as `200 {"ok": false, ...}`. guestlist calls
        it for each 2xx answer before the flow sees the answer, and raises the returned error at the
        `yield`:

            def refusal(self, response):
                body = response.mapping()
                if body.get("ok") is not False:
                    return None
                return explain(response, REFUSALS.get(body.get("error"), Rejected))

        The error has the effect of the status that usually means the same. `RateLimited` counts as
        a 429 (see `explain`). `ServiceUnavailable` counts as a 503: the request may have taken
        effect. `Rejected`, `Conflict`, `NotFound`, `Forbidden` and `Unauthorized` count as a 4xx:
        the request had no effect. So return an error only if the answer states explicitly that the
        service refused.

        If this method cannot read an answer (`KeyError`, not JSON), the flow still receives the
        answer, because the flow may not need its content. If the flow then fails to read it too,
        the outcome of the request is unknown. An error that the flow itself raises after a 2xx is
        never treated as a refusal: the request has taken effect.
        """
        return None

    def explain_access(
        self, grants: Sequence[Grant], member: Member | None = None
    ) -> tuple[bool, str | None]:
        """Returns whether the grants of a member allow anything, and a sentence that says what is
        missing.

        The default returns True for any grant, and False with `no_access` for an empty list.
        Override it if a grant can be empty, such as a group without a permission:

            def explain_access(self, grants, member=None):
                if grants and all(grant.role.kind == "group" for grant in grants):
                    return False, "None of the person's groups has a policy: attach one."
                return super().explain_access(grants, member)

        Args:
            grants: the result of `access` or `own_access`.
            member: the member who has the grants; None for the owner of the API key.
        """
        return (True, None) if grants else (False, self.no_access)

    # ------------------------------------------------------------------ operations
    #
    # Define a method with @operation to support it. A method that is not redefined is unsupported.

    def fetch_token(self) -> Flow[Token]:
        """Fetches an access token, for a service that issues tokens for a limited time.

            token_url: str = setting(
                "Where tokens are issued", default="https://login.{tenant}.example", url=True
            )

            @operation
            def fetch_token(self):
                reply = yield Request.post(
                    "oauth",
                    "token",
                    form={
                        "grant_type": "client_credentials",
                        "client_id": self.client_id,
                        "client_secret": SecretStr(self.client_secret),
                    },
                    origin="token_url",
                )
                return Token.of(reply)

        guestlist runs it before the first request, shortly before the token expires, and once more
        if the service refuses the token with a 401. All threads and tasks of a client share the
        token. It is sent to `base_url` only, and not with public requests. Without `origin`, the
        token is fetched from `base_url`, with the headers of `authorize`. Any refusal is an
        `Unauthorized` error for the caller.
        """
        raise self.unsupported("fetch_token")

    def organization(self) -> Flow[str]:
        """Returns the name of the account's organization. Must be a cheap request that fails if the
        credentials are invalid. If the service shows that they may only read, raise `Forbidden`. If
        the service has no name for the organization, return the host and path of `base_url`,
        without the scheme."""
        raise self.unsupported("organization")

    def invite(self, new: NewInvitation) -> Flow[Invitation | Member]:
        """Creates an invitation and returns it. Returns a member if the service added the person at
        once."""
        raise self.unsupported("invite")

    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        """Sends the email again and returns the invitation as it is now. An expired invitation is
        open again afterwards.

        The returned invitation may have another id if the service creates a new one. If the
        service's answer has no content, read the invitation (`return (yield from
        self.get_invitation(invitation.id))`), or return the given one if nothing in it has changed.

        Leave this undefined if the service has no such call. guestlist then uses `revoke` and
        `invite` (with `copy_of`), so the id changes and the old link stops working. Without
        `revoke`, a resend is unsupported.
        """
        raise self.unsupported("resend")

    def revoke(self, invitation: Invitation) -> Flow[None]:
        """Withdraws an invitation. guestlist has checked that it is not accepted.

        Must never remove a member, even if the person accepts after that check or before the
        request is repeated. If the record of an invitation becomes that of the member, see
        "separate records for invitations and members" in docs/service-gaps.md.

        guestlist calls it for open invitations, and for expired ones that prevent a new one. If the
        invitation is expired or already withdrawn, this may succeed or raise `NotFound` or
        `Conflict`.
        """
        raise self.unsupported("revoke")

    def change_invitation(
        self, invitation: Invitation, roles: tuple[Role, ...]
    ) -> Flow[Invitation]:
        """Makes an open invitation offer exactly these roles, and returns it as it is now. Must not
        send an email, and must be safe to repeat.

            @operation
            def change_invitation(self, invitation, roles):
                reply = yield Request.put(
                    "invitations", invitation.id, json={"roles": [role.id for role in roles]}
                )
                return read_invitation(reply.mapping())

        `assign_role` and `unassign_role` use it for a person who is invited, and a plan uses it for
        an invitation that offers other roles than the roster wants.

        Leave this undefined if the service has no such call, sends another email, or does not show
        the roles of an open invitation. A plan then replaces the invitation with `revoke` and
        `invite`, and a role can only be assigned after acceptance.
        """
        raise self.unsupported("change_invitation")

    def get_invitation(self, id: str) -> Flow[Invitation]:
        """Returns the invitation with this id. Raises NotFound if it does not exist.

        Leave this undefined if the service has no such call: guestlist then searches the pages of
        `invitations`.
        """
        raise self.unsupported("get_invitation")

    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        """Returns the invitation for an email address, or None. With `finds_logins`, `email` may
        also be a login with a leading `@`.

        If no invitation shows the address, and an open one shows only a login, return that:
        guestlist then reports that it may be this person's, and does not count the person as not
        invited.

        Leave this undefined if the service cannot search by address: guestlist then reads the pages
        of `invitations`.
        """
        raise self.unsupported("find_invitation")

    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """Returns one page of all invitations that the service lists, in any state."""
        raise self.unsupported("invitations")

    def invitation_summaries(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """Returns one page of the open invitations with only the fields of the service's list.
        Define it if `invitations` sends one request per invitation. Needs `find_invitation`.

        A summary has the address, the roles and `created_at`. Its state is PENDING if it has all
        three, and UNKNOWN with the basis INFERRED otherwise. A plan reads the summaries, and calls
        `find_invitation` only for people whose invitation has expired or must change. Leave this
        undefined if `invitations` sends one request per page.
        """
        raise self.unsupported("invitation_summaries")

    def get_member(self, id: str) -> Flow[Member]:
        """Returns the member with this id. Raises NotFound if there is no such member.

        Leave this undefined if the service has no such call: guestlist then searches the pages of
        `members`.
        """
        raise self.unsupported("get_member")

    def find_member(self, email: str) -> Flow[Member | None]:
        """Returns the member with an email address, or None. With `finds_logins`, `email` may also
        be a login with a leading `@`.

        A person who is invited and has not accepted may be returned with `MemberState.INVITED`.
        Leave this undefined if the service cannot search by address: guestlist then reads the pages
        of `members`.
        """
        raise self.unsupported("find_member")

    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """Returns one page of the members. Includes suspended members, with
        `MemberState.SUSPENDED`. Leave out people who are only invited or were removed, if the
        service lists them."""
        raise self.unsupported("members")

    def remove(self, member: Member) -> Flow[None]:
        """Removes a member from the organization."""
        raise self.unsupported("remove")

    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """Returns one page of everything that can be assigned to a member: roles, groups,
        policies."""
        raise self.unsupported("roles")

    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        """Assigns a role to a member. See `change_invitation` for people who are invited."""
        raise self.unsupported("assign_role")

    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        """Takes a role away from a member."""
        raise self.unsupported("unassign_role")

    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """Returns everything that a member effectively has: direct and inherited grants."""
        raise self.unsupported("access")

    def own_access(self) -> Flow[tuple[Grant, ...]]:
        """Returns everything that the owner of the account's credentials effectively has."""
        raise self.unsupported("own_access")

    # ------------------------------------------------------------------ not for overriding

    # Hidden from type checkers, which derive the constructor's signature from the fields.
    if not TYPE_CHECKING:

        def __init__(self, **settings: Any) -> None:
            try:
                super().__init__(**fill_from_environment(type(self), self.title, settings))
            except ValidationError as error:
                raise settings_error(type(self), self.title, error) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        facts = Provider.__class_vars__
        for name in sorted(cls.__class_vars__ - facts):
            if (meant := similar_name(name, facts)) and not name.startswith("_"):
                raise TypeError(
                    f"{cls.__name__}.{name} is not a fact of a provider. Did you mean {meant!r}?"
                )
        check_declared_urls(cls)
        check_named_settings(cls, "organization_settings", cls.organization_settings)
        for names in cls.one_of:
            check_named_settings(cls, "one_of", names)

    @field_validator("*", mode="after")
    @classmethod
    def _check_text(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            if info.field_name in urls(cls):
                value = check_url(value)
            if not value.strip():
                raise ValueError("it is empty")
            if value != value.strip():
                raise ValueError("it begins or ends with whitespace")
            if not value.isprintable():
                raise ValueError("it contains a control character")
        return value

    @model_validator(mode="after")
    def _check_alternatives(self) -> Self:
        for names in self.one_of:
            if sum(getattr(self, name) is not None for name in names) != 1:
                raise ValueError(f"it needs exactly one of the settings {' and '.join(names)}")
        return self

    @classmethod
    def supports(cls, name: str) -> bool:
        """Returns whether the provider defines the operation with this name."""
        return getattr(getattr(cls, name, None), "__guestlist_operation__", False)

    @classmethod
    def operations(cls) -> tuple[str, ...]:
        """Returns the names of all operations that the provider defines, in alphabetical order."""
        return tuple(name for name in sorted(dir(cls)) if cls.supports(name))

    @classmethod
    def unsupported(cls, name: str) -> Unsupported:
        """Returns an `Unsupported` error for an operation, with the substitute as its hint."""
        return Unsupported(
            f"{cls.title} offers no way to {PHRASES[name]}",
            hint=cls.substitutes.get(name, ""),
        )

    @classmethod
    def split_roles(cls, roles: Sequence[R]) -> tuple[tuple[R, ...], tuple[R, ...]]:
        """Returns the roles to send with an invitation, and the roles to defer until it is
        accepted: the first `most_roles` of `invitation_kinds`, and the rest.

        A role that is only a text may be of any kind.
        """
        kinds, most = cls.invitation_kinds, cls.most_roles
        sent = [
            role for role in roles if kinds is None or getattr(role, "kind", "") in ("", *kinds)
        ]
        sent = sent[:most]
        return tuple(sent), tuple(role for role in roles if role not in sent)

    @classmethod
    def replaced_by(cls, role: Role, held: Iterable[Role]) -> tuple[Role, ...]:
        """Returns the roles among those held that the service takes away when it assigns `role`:
        those of the same kind, if that is one of `exclusive_kinds`. Override it for a service with
        other rules, such as a rank in each team."""
        if role.kind not in cls.exclusive_kinds:
            return ()
        return tuple(one for one in held if one.kind == role.kind and one.id != role.id)

    @classmethod
    def excludes(cls, roles: Sequence[Role | str]) -> str | None:
        """Returns a sentence that names roles that a member cannot have together, or None."""
        known = [role for role in roles if isinstance(role, Role)]
        for role in known:
            if others := cls.replaced_by(role, known):
                labels = " and ".join(one.label for one in (role, *others))
                return f"a member of {cls.title} has only one of {labels}"
        return None

    @classmethod
    def lacks(cls, roles: Sequence[Role | str]) -> str | None:
        """Returns the mandatory part that is missing in an invitation with these `roles`, such as
        `a role`. None if it has enough roles. A role that is only a text may be of any kind."""
        if len(roles) < cls.least_roles:
            return "a role"
        known = [role for role in roles if isinstance(role, Role)]
        kinds = {role.kind for role in known}
        for kind in cls.mandatory_kinds:
            if kind not in kinds and len(known) == len(roles):
                labels = ", ".join(role.label for role in known)
                return f"a {kind} besides {labels}" if known else f"a {kind}"
        return None

    @classmethod
    def is_admin_role(cls, role: Role) -> bool:
        """Returns whether a role is one of `admin_roles`."""
        names = {name for name in (role.id, role.name) if name}
        if role.kind != "role":
            names = {f"{role.kind}:{name}" for name in names}
        return not names.isdisjoint(cls.admin_roles)

    def secrets(self) -> tuple[str, ...]:
        """Returns the values of the secret settings."""
        fields = type(self).model_fields
        values = (getattr(self, name) for name, info in fields.items() if is_secret(info))
        return tuple(str(value) for value in values if value)
