"""Finding a guest, and `status`: where somebody stands, and how that is known."""

from __future__ import annotations

from collections.abc import Callable

from guestlist.address import check_email, email_key
from guestlist.errors import (
    CallerMistake,
    Forbidden,
    GuestlistError,
    InvalidOrder,
    MalformedResponse,
    NotFound,
)
from guestlist.exchange.account import Call
from guestlist.exchange.policy import run
from guestlist.exchange.step import Steps
from guestlist.models import MEMBERSHIPS, OPEN_STATES, Guest, Invitation, Member, State
from guestlist.provider import Provider, RecordProblem
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.lists import Matches, matching
from guestlist.verbs.states import (
    best,
    best_member,
    conclude,
    conclude_from,
    current,
    is_open,
    is_undecided,
)

Who = str | Guest | Invitation | Member
"""A person: an address, the id of an invitation or member, or a value that guestlist returned."""


def status(accounts: Accounts, who: Who, *, account: str | None = None) -> Steps[Guest]:
    """Returns the state of a person, and the evidence for it.

    An invitation that has disappeared does not count as accepted: the person is looked up in the
    list of members, and `basis` is `inferred`.

    Args:
        who: an address, the id of an invitation or member, or a value that guestlist returned.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        NotFound: the service does not have the id. An unknown address is not an error: its state
            is `gone`.
    """
    call, email = yield from begin(accounts, who, account)
    return (yield from look(call, email))


Check = Callable[[Provider], None]
"""Raises `Unsupported` where a provider cannot do what is asked."""


def needs(operation: str) -> Check:
    """The check that a provider has an operation."""

    def check(provider: Provider) -> None:
        if not provider.supports(operation):
            raise provider.unsupported(operation)

    return check


def begin(
    accounts: Accounts, who: Who, account: str | None, check: Check | None = None
) -> Steps[tuple[Call, str]]:
    """Starts a call about somebody; finds the address behind an id.

    Args:
        check: made before the service is asked for anything.

    Raises:
        Unsupported: from the check.
        InvalidOrder: neither an address nor anything that can be an id; a guest of another account;
            or a record that has no address, such as a service user's.
        NotFound: an id that the service does not know.
    """
    call = accounts.call(_account_of(accounts, who, account))
    try:
        if check is not None:
            check(call.provider)
        email = address_of(who)
        if email is None:
            email = yield from _address_by_id(call, check_id(str(who)))
        if not email:
            raise InvalidOrder(
                "the record has no e-mail address, which is how people are told apart here",
                hint="Use an operation of the provider: `call`.",
            )
    except CallerMistake as error:
        raise call.about(error) from error.__cause__
    call.email = email
    return call, email


def _account_of(accounts: Accounts, who: Who, account: str | None) -> str | None:
    """The account that a call is about: a guest is one of its own account only."""
    if not isinstance(who, Guest):
        return account
    named = accounts.default if account is None else account
    if named is not None and named != who.account:
        raise InvalidOrder(
            f"{who.email} is a guest of {who.account!r}, and the call is about {named!r}",
            hint="Pass the address, which may be a guest of several accounts.",
        )
    return who.account


def address_of(who: Who) -> str | None:
    """The address, if it is told; None for an id."""
    if isinstance(who, Guest | Invitation | Member):
        return who.email
    if not isinstance(who, str):
        raise InvalidOrder(
            f"{who!r} is nobody",
            hint="Give an address, an id, or a guest, invitation or member.",
        )
    return check_email(who) if "@" in who else None


def check_id(id: str) -> str:
    """Returns the id.

    Raises:
        InvalidOrder: no service has such an id: it is empty, or has white space, slashes or
            control characters.
    """
    odd = any(c.isspace() or not c.isprintable() or c in "/\\?#" for c in id)
    if odd or id in ("", ".", ".."):
        raise InvalidOrder(
            f"{id!r} is neither an e-mail address nor an id",
            hint="Give an address such as ada@example.com, or an id as `guestlist list` shows it.",
        )
    return id


def _address_by_id(call: Call, id: str) -> Steps[str]:
    for operation in ("get_invitation", "get_member"):
        if call.provider.supports(operation):
            try:
                found = yield from run(call, getattr(call.provider, operation)(id))
            except NotFound:
                continue
            return str(found.email)
    raise call.about(
        NotFound(
            f"there is no invitation or member with the id {id!r}",
            hint="A record may vanish when it succeeds: ask by the e-mail address.",
        )
    )


def look(call: Call, email: str, *, members: bool = True, again: bool = False) -> Steps[Guest]:
    """Where the guest stands now.

    An open invitation is no proof that the person is no member: another one may have been accepted,
    on a service that lists the open ones only, or somebody has added the person directly.

    Args:
        members: whether they are read although an invitation is open and none was accepted. Where
            they cannot be read, the open invitation is all there is to go by.
        again: what is known from a run's reading is out of date.
    """
    if call.known is not None and not again:
        return call.known
    found = yield from _invitations(call, email)
    undecided, hidden = is_undecided(found.items), found.hidden
    member = None
    if members or not undecided:
        try:
            listed = yield from _members(call, email, again=again)
            member, hidden = best_member(listed.items), hidden or listed.hidden
        except (Forbidden, MalformedResponse):
            if not undecided:
                raise
    guest = conclude_from(call.account, email, found.items, member)
    return guest if hidden is None else unless_seen(guest, hidden)


def unless_seen(guest: Guest, hidden: RecordProblem) -> Guest:
    """Returns the guest, marked as incomplete unless the records that were read settle where the
    person stands.

    Args:
        hidden: a record that cannot be read and may be about the person.
    """
    if guest.state in (*OPEN_STATES, State.ACCEPTED):
        return guest
    why = f"a record that cannot be read may be about {guest.email}: {hidden}"
    state = State.UNKNOWN if guest.state is State.GONE else guest.state
    return guest.model_copy(update={"incomplete": why, "state": state})


def check_complete(call: Call, guest: Guest) -> None:
    """Checks that what the records do not show is absent.

    Raises:
        MalformedResponse: a record that cannot be read may be about the person.
    """
    if guest.incomplete is not None:
        hint = "Nothing was sent. Correct the record at the service, or report it."
        raise call.about(MalformedResponse(guest.incomplete, hint=hint))


def look_after(call: Call, email: str, happened: bool | None = True) -> Steps[Guest]:
    """Where the guest stands now that something was done; None for perhaps."""
    try:
        return (yield from look(call, email))
    except GuestlistError as error:
        error.happened = happened  # not what was asked for now, but what was done before
        raise


def can_look(call: Call) -> bool:
    """Whether the service can be asked about an address at all."""
    return any(map(call.provider.supports, ("find_invitation", "invitations")))


def find_invitation(call: Call, email: str) -> Steps[Invitation | None]:
    """Returns the invitation of an address that counts, as it stands now."""
    return best((yield from _invitations(call, email)).items)


def _invitations(call: Call, email: str) -> Steps[Matches[Invitation]]:
    """Returns the invitations of an address as they stand now: those that the service shows, and
    the one that this client has made too recently for that."""
    provider = call.provider
    made = call.account.just_made(email)  # before: the answer may be older than its coming
    mine = Matches[Invitation]([])
    if provider.supports("find_invitation"):
        found = yield from run(call, provider.find_invitation(email))
        mine = Matches([found] if found else [])
    elif provider.supports("invitations"):
        mine = yield from matching(
            call,
            provider.invitations,
            email_key(email),
            proof=lambda one: is_open(one, call.account),  # a closed one may hide an open one
        )
    now = call.account.now()
    items = [current(one, provider, now) for one in with_made(mine.items, made)]
    return Matches(items, mine.hidden)


def with_made(listed: list[Invitation], made: Guest | None) -> list[Invitation]:
    """The invitations that a list shows, and the one that was made too recently for that."""
    if made is None or made.invitation is None:
        return listed
    known = made.invitation.id in (one.id for one in listed)
    return listed if known else [*listed, made.invitation]


def member_or_made(listed: Member | None, made: Guest | None) -> Member | None:
    """The member that a list shows, or who was added too recently for that."""
    return made.member if listed is None and made is not None else listed


def find_member(call: Call, email: str) -> Steps[Member | None]:
    """Returns the member record of an address that counts."""
    return best_member((yield from _members(call, email)).items)


def _members(call: Call, email: str, *, again: bool = False) -> Steps[Matches[Member]]:
    """Returns the member records of an address: those that the service shows, else the one that
    this client has made too recently for that.

    Args:
        again: read the list, although a run has read it before.
    """
    provider = call.provider
    if call.known is not None and not again:
        return Matches([call.known.member] if call.known.member else [])
    made = call.account.just_made(email)
    listed = Matches[Member]([])
    if provider.supports("find_member"):
        found = yield from run(call, provider.find_member(email))
        listed = Matches([found] if found else [])
    elif provider.supports("members"):
        listed = yield from matching(
            call,
            provider.members,
            email_key(email),
            first=True,
            proof=lambda one: one.state in MEMBERSHIPS,  # one who was removed may be back
        )
    member = member_or_made(best_member(listed.items), made)
    return Matches([member] if member else [], listed.hidden)


def find_active_member(call: Call, email: str) -> Steps[Guest]:
    """The guest with the member record, whatever the invitations say; without it the full look."""
    member = yield from find_member(call, email)
    guest = conclude(call.account, email, None, member)
    if guest.state is State.ACCEPTED:
        return guest
    return (yield from look(call, email, members=False))
