"""The `Provider` class: facts, settings and operations of one service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from guestlist.errors import GuestlistError, Unsupported
from guestlist.models import Grant, Invitation, Member, Order, Role
from guestlist.provider.explanations import explain
from guestlist.provider.messages import Limit, Page, Response
from guestlist.provider.operations import PHRASES, Flow
from guestlist.provider.settings import (
    check_base_url,
    check_declared_url,
    completed,
    is_secret,
    setting,
    settings_error,
)


class Options(BaseModel):
    """The base of a provider's own options of an order. Unknown ones are an error.

        class AcmeOptions(Options):
            message: str = ""  # words for the mail

        class Acme(Provider):
            Options = AcmeOptions

            @operation
            def invite(self, order):
                options = order.options or AcmeOptions()
                body = {"email": order.email, "message": options.message}
                ...

    Callers write `invite(..., options={"message": "Hello"})` or `--option message=Hello`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Provider(BaseModel):
    """One service's API, and the settings of one account on it.

    A subclass declares facts (class attributes), settings (fields made with `setting`) and
    operations (methods marked with `@operation`). An operation that is not redefined here is
    unsupported, and callers are told so before anything is sent.

    Raises:
        ConfigError: on construction, for a setting that is missing, unknown or cannot be.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, ignored_types=(property,)
    )

    # ------------------------------------------------------------------ facts

    name: ClassVar[str]
    """The word by which configuration and command line know the provider: lower case."""
    title: ClassVar[str]
    """What people call the service."""
    docs_url: ClassVar[str] = ""
    """Where the service documents its invitations."""
    Options: ClassVar[type[BaseModel]] = Options
    """What an order may say beyond address, roles and mail."""
    sandbox: ClassVar[str | None] = None
    """Where the local imitation is: `module:Class`, a `guestlist.sandbox.Service`."""
    least_roles: ClassVar[int] = 0
    """How many roles an invitation must name."""
    most_roles: ClassVar[int | None] = 0
    """How many roles an invitation can name; 0 where roles are given after acceptance, None for
    any number."""
    one_role: ClassVar[bool] = False
    """Whether a member holds one role at a time, so that assigning another replaces it."""
    can_suppress_mail: ClassVar[bool] = False
    """Whether an invitation can be made without a mail."""
    lifetime: ClassVar[timedelta | None] = None
    """How long an invitation can be accepted; None where that is not known."""
    resend_moves_expiry: ClassVar[bool] = False
    """Whether a resend is known to move `expires_at`, which is how a lost answer is settled."""
    late_effect: ClassVar[float] = 30.0
    """Seconds after which a request that got no answer can no longer take effect: how long the
    service may sit on a request whose connection was lost. Keep the 30 s where nothing is known."""
    list_lag: ClassVar[float] = 0.0
    """Seconds for which the service's lists may miss what it has already answered to have created:
    replicas and caches. For so long a client remembers what it has made itself. 0 where a list read
    after the answer holds it."""
    limits_count_addresses: ClassVar[bool] = False
    """Whether the service's limits count what comes from one network address: then all accounts
    on it share them."""
    no_access: ClassVar[str] = "The person is a member and holds nothing that can be granted."
    """What it means when `access` finds nothing: see `explain_access`."""
    substitutes: ClassVar[Mapping[str, str]] = {}
    """What to do instead of what is unsupported: an operation's name, `role` or `mail`, to a
    sentence."""
    media_types: ClassVar[frozenset[str]] = frozenset()
    """Media types of the service's answers besides those of JSON (`application/json`, `+json`),
    in lower case, such as `text/plain` where it answers `OK`. A 2xx whose body has another type
    proves nothing: a proxy or a maintenance page may have sent it."""
    secret_fields: ClassVar[frozenset[str]] = frozenset()
    """Names of this service's JSON fields and query parameters that hold secrets."""

    # ------------------------------------------------------------------ settings

    base_url: str = setting("Where the service is")
    """Redeclare it with a default where the service has one address for all:

        base_url: str = setting("Where Acme is", default="https://api.acme.example/v1")

    Where each customer has a host, let the default name the setting that tells it. Its value is put
    there, if it is letters, digits, dashes and dots; whoever sets `base_url` overrides it.

        tenant: str = setting("The name before .acme.example", env="ACME_TENANT")
        base_url: str = setting("Where Acme is", default="https://{tenant}.acme.example/api")

    A default that is no such text, a callable or a property is refused when the class is defined.
    """

    @property
    def limits(self) -> tuple[Limit, ...]:
        """How fast the service may be called; may depend on the account's plan."""
        return ()

    @property
    def refuses_duplicates(self) -> bool:
        """Whether the service is known to refuse (explained as `Conflict`) an invitation of
        somebody who is invited or a member already; may depend on the account's settings. Only
        then is the look before an invitation left out."""
        return False

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that go with every request, such as the version of the API or the kind of JSON;
        may depend on the account's settings. No credentials: those are `authorize`'s.

            return {"Accept": "application/vnd.acme+json", "X-Acme-Version": "2026-05-01"}

        `Content-Type` goes with requests that have a body, which is JSON whatever it is called.
        """
        return {}

    # ------------------------------------------------------------------ what every provider says

    def authorize(self) -> Mapping[str, str]:
        """The headers that the account's credentials become. Sent to the account's origin only.

        They may be derived, such as `Basic` and base64 of user and password: whatever is returned,
        and what follows the word for the scheme, is masked like the secret settings. Each header is
        made from a secret setting; others are for `headers`.
        """
        return {}

    def order_of(self, invitation: Invitation) -> Order:
        """The order that would make the same invitation once more: whoever is invited anew, because
        the invitation has expired or because a resend is made so, gets the same.

        The default knows address and roles. Override it for options that the service tells of an
        invitation:

            def order_of(self, invitation):
                options = AcmeOptions(message=invitation.raw.get("message") or "")
                return super().order_of(invitation).model_copy(update={"options": options})
        """
        return Order(email=invitation.email, roles=invitation.roles)

    def explain(self, response: Response) -> GuestlistError:
        """What an answer outside 2xx means.

        The default reads the usual error bodies and goes by the status. Override it for a service
        that says "conflict" or "not found" in other ways, and call `super().explain` for the rest.

        A `RateLimited` counts like a 429, whatever the 4xx: the account rests, and the request is
        tried again. Set its `retry_after` (seconds) where something else than the usual headers
        tells it.
        """
        return explain(response)

    def refusal(self, response: Response) -> GuestlistError | None:
        """The error that an answer within 2xx is; None where the service did what it was asked.

        Override it for a service that refuses with `200 {"ok": false, ...}`. It is asked about each
        2xx before a flow sees it, and what it returns is raised at the `yield`:

            def refusal(self, response):
                told = response.mapping()
                if told.get("ok") is not False:
                    return None
                return explain(response, REFUSALS.get(told.get("error"), Rejected))

        The error counts like the status that usually says so: `RateLimited` like a 429 (see
        `explain`), `ServiceUnavailable` like a 503, after which it may have happened, and a refusal
        (`Rejected`, `Conflict`, `NotFound`, `Forbidden`, `Unauthorized`) like a 4xx: nothing
        happened. So return one only where the answer says explicitly that it refused. An answer
        that cannot be read here (`KeyError`, not JSON) reaches the flow, which may need none; a
        flow that fails on it leaves the request in doubt. What a flow itself raises after a 2xx is
        never taken for a refusal: the request has taken effect.
        """
        return None

    def explain_access(
        self, grants: Sequence[Grant], member: Member | None = None
    ) -> tuple[bool, str | None]:
        """Returns whether what a member holds allows anything, and what is lacking, as a sentence.

        The default says yes for any grant, and explains an empty list with `no_access`. Override
        it where a grant may be empty, such as a group to which no permission is attached:

            def explain_access(self, grants, member=None):
                if grants and all(grant.role.kind == "group" for grant in grants):
                    return False, "None of the person's groups has a policy: attach one."
                return super().explain_access(grants, member)

        Args:
            grants: what `access` or `own_access` returned.
            member: whose grants they are; None for the owner of the API key.
        """
        return (True, None) if grants else (False, self.no_access)

    # ------------------------------------------------------------------ what a provider may offer
    #
    # Redefine with @operation to offer it. What stays as it is here is unsupported.

    def organization(self) -> Flow[str]:
        """The name of the organization that is reached: a cheap call that proves the key."""
        raise self.unsupported("organization")

    def invite(self, order: Order) -> Flow[Invitation | Member]:
        """Creates an invitation. Returns a member where the service added the person at once."""
        raise self.unsupported("invite")

    def resend(self, invitation: Invitation) -> Flow[Invitation]:
        """Sends the mail again and returns the invitation as it is now, open again if it had
        expired.

        May return one with another id where the service makes a new one. Where the service answers
        nothing, read it anew (`return (yield from self.get_invitation(invitation.id))`), or return
        what was given, if nothing of it has changed.

        Leave it undefined where the service has no such call: guestlist then makes a resend of
        `revoke` and `invite` (with `order_of`), so that the id changes and the old link is dead;
        without `revoke` a resend is unsupported.
        """
        raise self.unsupported("resend")

    def revoke(self, invitation: Invitation) -> Flow[None]:
        """Withdraws an invitation. Callers have made sure that it is not accepted.

        It is called for open ones, and for expired ones that stand in the way of a new one: what
        the service answers about these, as about those that are withdrawn already, may be success,
        `NotFound` or `Conflict`.
        """
        raise self.unsupported("revoke")

    def get_invitation(self, id: str) -> Flow[Invitation]:
        """One invitation by its id. Raises NotFound."""
        raise self.unsupported("get_invitation")

    def find_invitation(self, email: str) -> Flow[Invitation | None]:
        """The invitation of an address, where the service can be asked by address.

        Leave it undefined where it cannot: callers then read the pages of `invitations`.
        """
        raise self.unsupported("find_invitation")

    def invitations(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """One page of the invitations that the service tells of, whatever their state."""
        raise self.unsupported("invitations")

    def invitation_summaries(self, cursor: str | None = None) -> Flow[Page[Invitation]]:
        """One page of the open invitations as a list of the service shows them, where `invitations`
        sends a request for each. Needs `find_invitation`.

        A summary has the address, the roles and `created_at`. Its state is PENDING if it has all
        three; otherwise UNKNOWN, with the basis INFERRED. A plan reads the summaries, and calls
        `find_invitation` only for people whose invitation has expired or must change. Leave it
        undefined where `invitations` sends one request for each page.
        """
        raise self.unsupported("invitation_summaries")

    def get_member(self, id: str) -> Flow[Member]:
        """One member by id. Raises NotFound."""
        raise self.unsupported("get_member")

    def find_member(self, email: str) -> Flow[Member | None]:
        """The member of an address, where the service can be asked by address.

        One who is merely invited may be returned with `MemberState.INVITED`. Leave it undefined
        where the service cannot: callers then read the pages of `members`.
        """
        raise self.unsupported("find_member")

    def members(self, cursor: str | None = None) -> Flow[Page[Member]]:
        """One page of the members: everybody who is in, and nobody else. Leave out those who are
        merely invited and those who were removed, where the service lists them; suspended ones
        belong to it, with `MemberState.SUSPENDED`.
        """
        raise self.unsupported("members")

    def remove(self, member: Member) -> Flow[None]:
        """Takes a member out of the organization."""
        raise self.unsupported("remove")

    def roles(self, cursor: str | None = None) -> Flow[Page[Role]]:
        """One page of what can be granted, of every kind."""
        raise self.unsupported("roles")

    def assign_role(self, member: Member, role: Role) -> Flow[None]:
        """Gives a role to a member."""
        raise self.unsupported("assign_role")

    def unassign_role(self, member: Member, role: Role) -> Flow[None]:
        """Takes a role from a member."""
        raise self.unsupported("unassign_role")

    def access(self, member: Member) -> Flow[tuple[Grant, ...]]:
        """Everything that a member effectively holds, direct and inherited."""
        raise self.unsupported("access")

    def own_access(self) -> Flow[tuple[Grant, ...]]:
        """Everything that the owner of the account's credentials effectively holds."""
        raise self.unsupported("own_access")

    # ------------------------------------------------------------------ not for overriding

    if not TYPE_CHECKING:  # the checkers derive a typed constructor from the fields

        def __init__(self, **settings: Any) -> None:
            try:
                super().__init__(**completed(type(self), self.title, settings))
            except ValidationError as error:
                raise settings_error(type(self), self.title, error) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        check_declared_url(cls)

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, url: str) -> str:
        return check_base_url(url)

    @field_validator("*", mode="after")
    @classmethod
    def _check_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            if not value.strip():
                raise ValueError("it is empty")
            if value != value.strip():
                raise ValueError("it begins or ends with white space")
            if not value.isprintable():
                raise ValueError("it has a control character")
        return value

    @classmethod
    def supports(cls, name: str) -> bool:
        """Whether the provider defines the operation."""
        return getattr(getattr(cls, name, None), "__guestlist_operation__", False)

    @classmethod
    def operations(cls) -> tuple[str, ...]:
        """The names of all operations that the provider defines, in alphabetical order."""
        return tuple(name for name in sorted(dir(cls)) if cls.supports(name))

    @classmethod
    def unsupported(cls, name: str) -> Unsupported:
        """Returns the error for an operation that the service does not offer, with its substitute
        as the hint."""
        return Unsupported(
            f"{cls.title} offers no way to {PHRASES[name]}",
            hint=cls.substitutes.get(name, ""),
        )

    def secrets(self) -> tuple[str, ...]:
        """The values of the secret settings."""
        fields = type(self).model_fields
        values = (getattr(self, name) for name, info in fields.items() if is_secret(info))
        return tuple(str(value) for value in values if value)
