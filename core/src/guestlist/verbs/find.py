"""`status`, and reading the records about a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

from guestlist.address import check_email, email_key, login_key
from guestlist.errors import (
    CallerMistake,
    Conflict,
    Forbidden,
    GuestlistError,
    InvalidArgument,
    MalformedResponse,
    NotFound,
)
from guestlist.exchange.account import Call
from guestlist.exchange.policy import run
from guestlist.exchange.step import Steps
from guestlist.models import MEMBERSHIPS, OPEN_STATES, Guest, Invitation, Member, State
from guestlist.provider import Provider, RecordProblem
from guestlist.verbs.accounts import Accounts
from guestlist.verbs.lists import Listing, Matches, Pages, R, matching, unreadable_record_error
from guestlist.verbs.states import (
    conclude,
    conclude_from,
    could_be,
    current,
    is_open,
    is_same_user,
    is_undecided,
    mark_login_not_shown,
    pick_invitation,
    pick_member,
)

Who = str | Guest | Invitation | Member
"""A person: an address, a login with a leading `@`, the id of an invitation or member, or a value
that guestlist returned."""


def status(
    accounts: Accounts,
    who: Who | None = None,
    *,
    login: str | None = None,
    account: str | None = None,
) -> Steps[Guest]:
    """Returns the state of a person, and the evidence for it.

    An invitation that has disappeared does not count as accepted: the person is looked up in the
    list of members, and `basis` is `inferred`.

    Args:
        who: an address, a login with a leading `@`, the id of an invitation or member, or a value
            that guestlist returned. May be omitted if `login` is given.
        login: the person's login at the service. Some services do not show the addresses of
            members; without a login, an address that is in no invitation is `unknown` there.
        account: the name of the account. May be omitted if there is only one.

    Raises:
        NotFound: the service does not have the id. An unknown address is not an error: its state
            is `gone`.
    """
    call = yield from begin(accounts, _named(who, login), account)
    if login:
        call.login = login.removeprefix("@")
    return (yield from look(call, identify=True))


def _named(who: Who | None, login: str | None) -> Who:
    """Returns the person whom an address or a login names.

    Raises:
        InvalidArgument: neither is given.
    """
    if who is not None:
        return who
    if not login:
        raise InvalidArgument("no person is given", hint="Pass an address, an id or a login.")
    return f"@{login.removeprefix('@')}"


Check = Callable[[Provider], None]
"""Raises `Unsupported` if a provider cannot do what the call needs."""


def support_check(operation: str) -> Check:
    """Returns a function that checks whether a provider has an operation."""

    def check(provider: Provider) -> None:
        if not provider.supports(operation):
            raise provider.unsupported(operation)

    return check


def begin(
    accounts: Accounts, who: Who, account: str | None, check: Check | None = None
) -> Steps[Call]:
    """Starts a call about a person, and finds the address or login if an id is given.

    Args:
        check: called before any request is sent.

    Raises:
        Unsupported: raised by the check.
        InvalidArgument: the value is neither an address nor a valid id; it is a guest of another
            account; or the record has no address, such as that of a service user.
        NotFound: the service does not have the id.
    """
    call = accounts.call(_account_of(accounts, who, account))
    try:
        if check is not None:
            check(call.provider)
        name = name_of(who)
        if name is None:
            who = yield from _record_by_id(call, check_id(str(who)))
            name = name_of(who)
        if not name:
            raise InvalidArgument(
                "the record has no email address, by which guestlist distinguishes people",
                hint="Use an operation of the provider: `call`.",
            )
    except CallerMistake as error:
        raise call.about(error) from error.__cause__
    call.login = login_of(who)
    if name.startswith("@"):
        call.login = name[1:]
    else:
        call.email = name
    return call


def _account_of(accounts: Accounts, who: Who, account: str | None) -> str | None:
    """Returns the account of a call. A guest belongs to one account only."""
    if not isinstance(who, Guest):
        return account
    named = accounts.default if account is None else account
    if named is not None and named != who.account:
        raise InvalidArgument(
            f"{who.label} is a guest of {who.account!r}, and the call is about {named!r}",
            hint="Pass the address, which may be a guest of several accounts.",
        )
    return who.account


def login_of(who: Who) -> str | None:
    """Returns the login that a record contains, or None."""
    return None if isinstance(who, str) else who.login


def name_of(who: Who) -> str | None:
    """Returns the address of `who`, or the login with a leading `@`. None for an id; empty if a
    record has neither."""
    if isinstance(who, Guest | Invitation | Member):
        email = who.address if isinstance(who, Member) else who.email
        login = login_of(who) or (who.email if isinstance(who, Member) else None)
        return email or (f"@{login.removeprefix('@')}" if login else "")
    if not isinstance(who, str):
        raise InvalidArgument(
            f"{who!r} does not name a person",
            hint="Give an address, an id, or a guest, invitation or member.",
        )
    if names_login(who):
        return who.strip()
    return check_email(who) if "@" in who else None


def names_login(text: str) -> bool:
    """Returns whether a text is a login with a leading `@`."""
    return text.startswith("@") and bool(text[1:].strip())


def key_of_name(name: str) -> str:
    """Returns the text by which an address, or a login with a leading `@`, is compared."""
    return login_key(name) if names_login(name) else email_key(name)


def invitation_named(who: Who, guest: Guest) -> Invitation | None:
    """Returns the open invitation whose id or record the caller has given; None if the caller has
    named the person."""
    id = who.id if isinstance(who, Invitation) else who
    if not isinstance(id, str):
        return None
    return next((one for one in guest.invitations if one.id == id), None)


def offers(invitations: Iterable[Invitation]) -> str:
    """Returns the roles and ids of invitations, for messages: `admin: i-1, reader: i-2`."""
    texts = []
    for one in invitations:
        roles = " and ".join(role.label for role in one.roles)
        texts.append(": ".join(filter(None, (roles, one.id))))
    return ", ".join(texts)


def check_id(id: str) -> str:
    """Returns the id if it is valid.

    Raises:
        InvalidArgument: the id is empty, or contains white space, slashes or control characters.
    """
    odd = any(c.isspace() or not c.isprintable() or c in "/\\?#" for c in id)
    if odd or id in ("", ".", ".."):
        raise InvalidArgument(
            f"{id!r} is neither an email address nor an id",
            hint="Give an address such as ada@example.com, or an id that `guestlist invitations` or"
            " `guestlist members` shows.",
        )
    return id


def _record_by_id(call: Call, id: str) -> Steps[Invitation | Member]:
    for operation, listing in (("get_invitation", "invitations"), ("get_member", "members")):
        found: Invitation | Member | None = None
        if call.provider.supports(operation):
            with suppress(NotFound):
                found = yield from run(call, getattr(call.provider, operation)(id))
        elif call.provider.supports(listing):
            found = yield from _listed(call, getattr(call.provider, listing), id)
        if found is not None:
            return found
    raise call.about(
        NotFound(
            f"there is no invitation or member with the id {id!r}",
            hint="The record may have been deleted since. Use the email address, or the login with"
            " a leading @.",
        )
    )


def _listed(call: Call, listing: Listing[R], id: str) -> Steps[R | None]:
    """Searches a list for a record with an id, for a service that offers no call for one record.

    Raises:
        MalformedResponse: the list is incomplete, or a record that may have the id cannot be read.
    """
    pages = Pages(listing)
    while not pages.ended:
        for item in (yield from pages.next(call)):
            if item.id == id:
                return item
    if (incomplete := pages.incomplete) is not None:
        raise call.about(incomplete)
    for problem in pages.problems:
        if not problem.kept and problem.id in (None, id):
            raise call.about(unreadable_record_error(listing.__name__, problem))
    return None


def look(
    call: Call, *, members: bool = True, again: bool = False, identify: bool = False
) -> Steps[Guest]:
    """Reads the records about a person and returns the guest.

    An open invitation does not prove that the person is not a member: another invitation may have
    been accepted, if the service lists only open ones, or the person may have been added directly.

    Args:
        members: read the members even if an invitation is open and none was accepted. If they
            cannot be read, the open invitation decides.
        again: the records that a run has read are out of date.
        identify: if an invitation was accepted and no member has the address, find out whether
            another member could be the person.
    """
    if not again and (before := call.strategy.guest_before) is not None:
        return before
    if call.login is None and call.email is not None:
        call.login = call.account.logins.get(email_key(call.email))
    found = yield from _invitations(call)
    if call.login is None:  # The record of the invitation may show the login of the person.
        call.login = next((one.login for one in found.items if one.login), None)
    undecided, hidden = is_undecided(found.items), found.hidden
    member, shows_logins = None, True
    if members or not undecided:
        try:
            listed = yield from _members(call, again=again)
            member, hidden = pick_member(listed.items), hidden or listed.hidden
            shows_logins = listed.shows_logins
        except (Forbidden, MalformedResponse):
            if not undecided:
                raise
    guest = conclude_from(call.account, call.email, found.items, member, login=call.login)
    if identify and guest.state is State.GONE and guest.invitation is not None:
        [others] = yield from candidates(lambda: call, [guest.invitation])
        guest = conclude_from(
            call.account, call.email, found.items, member, login=call.login, candidates=others
        )
    if not shows_logins:
        guest = mark_login_not_shown(guest, call.provider)
    return guest if hidden is None else mark_incomplete(guest, hidden)


def candidates(
    begin: Callable[[], Call], accepted: Sequence[Invitation]
) -> Steps[list[list[Member]]]:
    """Returns for each accepted invitation the members who could have accepted it under another
    address: those who joined at that time, and have no invitation to their own address. Members
    without a date are not candidates, because nothing distinguishes them from the others.

    Reads the list of members once, and the list of invitations if that is not conclusive.

    Args:
        begin: starts a call for each page of a list.
    """
    provider = begin().provider
    found: list[list[Member]] = [[] for _ in accepted]
    if not accepted or not (provider.supports("members") and provider.supports("invitations")):
        return found
    pages = Pages(provider.members)
    while not pages.ended:
        for member in (yield from pages.next(begin())):
            for some, one in zip(found, accepted, strict=True):
                if member.joined_at is not None and could_be(member, one):
                    some.append(member)
    if any(found):
        own: set[str] = set()
        records = Pages(provider.invitations)
        while not records.ended:
            page = yield from records.next(begin())
            own.update(email_key(one.email) for one in page if one.email)
        found = [
            [one for one in some if not one.email or email_key(one.email) not in own]
            for some in found
        ]
    for place, one in enumerate(accepted):
        found[place] = [other for other in found[place] if is_same_user(other, one)] or found[place]
    return found


ONLY_LOGIN = "it shows only the login"
"""The reason why an invitation may be about a person whose address is given."""


def mark_incomplete(guest: Guest, hidden: RecordProblem) -> Guest:
    """Returns the guest. Marks it as incomplete if the readable records do not prove its state.

    Args:
        hidden: a record that cannot be read and may be about the person.
    """
    if guest.state in (*OPEN_STATES, State.ACCEPTED):
        return guest
    readable = ONLY_LOGIN in hidden.reason
    which = "an open invitation" if readable else "a record that cannot be read"
    why = f"{which} may be about {guest.label}: {hidden}"
    state = State.UNKNOWN if guest.state is State.GONE else guest.state
    return guest.model_copy(update={"incomplete": why, "state": state})


def check_records_readable(call: Call, guest: Guest) -> None:
    """Checks that every record of the person was readable, so that a missing record is absent.

    Raises:
        MalformedResponse: a record that cannot be read may be about the person.
    """
    if guest.incomplete is not None:
        hint = "Nothing was sent. Correct the record at the service, or report it."
        if ONLY_LOGIN in guest.incomplete:
            hint = "Nothing was sent. Name the person by the login."
        raise call.about(MalformedResponse(guest.incomplete, hint=hint))


def check_no_member(call: Call, guest: Guest) -> None:
    """Checks that the person, who has no known membership, is not a member.

    Raises:
        MalformedResponse: a record that cannot be read may be about the person.
        Conflict: the service does not show whether a member is the person.
    """
    check_records_readable(call, guest)
    hidden = guest.unidentified is not None and guest.state not in OPEN_STATES
    if hidden or guest.state is State.UNKNOWN:
        why = f": {guest.unidentified}" if guest.unidentified else ""
        raise call.about(
            Conflict(
                f"it is unknown whether {guest.label} is a member{why}",
                hint=f"Use the {'login' if guest.email else 'address'} or the id.",
            )
        )


def look_up_after_change(call: Call, happened: bool | None = True) -> Steps[Guest]:
    """Reads the records again after a change."""
    try:
        return (yield from look(call))
    except GuestlistError as error:
        error.happened = happened  # describes the change, not this lookup
        raise


def can_look(call: Call) -> bool:
    """Returns whether the service offers a way to look up an address."""
    return any(map(call.provider.supports, ("find_invitation", "invitations")))


def find_invitation(call: Call) -> Steps[Invitation | None]:
    """Returns the open or else the latest invitation of the person, with its current state."""
    return pick_invitation((yield from _invitations(call)).items)


def _invitations(call: Call) -> Steps[Matches[Invitation]]:
    """Returns the invitations of the person with their current states.

    That includes one that this client created too recently for the service's list.
    """
    provider = call.provider
    # Such a service invites by address only.
    if call.email is None and provider.members_show_emails:
        return Matches([])
    # Read before the lists, which may be older than what this client has just created.
    made = call.account.just_made(call.who)
    mine: Matches[Invitation] = Matches([])
    nameless: Invitation | None = None
    if names := _findable_names(call, "find_invitation"):
        for name in names:
            found = yield from run(call, provider.find_invitation(name))
            if found is not None and found.email is None and not name.startswith("@"):
                nameless = found
            elif found is not None and found not in mine.items:
                mine.items.append(found)
    elif provider.supports("invitations"):
        mine = yield from matching(
            call,
            provider.invitations,
            email_key(call.who),
            same=_same_login(call),
            # An open invitation may exist besides a closed one.
            proof=lambda one: is_open(one, call.account),
        )
    hidden = mine.hidden
    if call.login is None:
        nameless = nameless or mine.nameless
    if nameless is not None and nameless not in mine.items:
        why = f"{ONLY_LOGIN} {nameless.login}"
        hidden = hidden or RecordProblem(1, why, nameless.id)
    now = call.account.now()
    items = [current(one, provider, now) for one in with_created(mine.items, made)]
    return Matches(items, hidden)


def with_created(listed: list[Invitation], made: Guest | None) -> list[Invitation]:
    """Adds the invitation that this client created too recently for the service's list. Does not
    add one without an id if the list has an open invitation, which must be the same one."""
    if made is None or made.invitation is None:
        return listed
    new = made.invitation
    known = new.id in (one.id for one in listed)
    if new.id is None and any(one.state in OPEN_STATES for one in listed):
        known = True
    return listed if known else [*listed, made.invitation]


def member_or_created(listed: Member | None, made: Guest | None) -> Member | None:
    """Returns the listed member, or the member whom this client added too recently for the
    service's list."""
    return made.member if listed is None and made is not None else listed


def _members(call: Call, *, again: bool = False) -> Steps[Matches[Member]]:
    """Returns the member records of the person.

    If the service shows none, returns the one that this client has created too recently for that.

    Args:
        again: read the list even if a run has read it before.
    """
    provider = call.provider
    if not again and (before := call.strategy.guest_before) is not None:
        return Matches([before.member] if before.member else [])
    made = call.account.just_made(call.who)
    listed: Matches[Member] = Matches([])
    names = _findable_names(call, "find_member")
    for name in names:
        found = yield from run(call, provider.find_member(name))
        listed.items.extend([found] if found else [])
    unasked = not names or (call.login is not None and not provider.finds_logins)
    if not listed.items and unasked and provider.supports("members"):
        listed = yield from matching(
            call,
            provider.members,
            email_key(call.who),
            same=_same_login(call),
            first=True,
            proof=lambda one: one.state in MEMBERSHIPS,  # a removed member may have joined again
        )
    member = member_or_created(pick_member(listed.items), made)
    return Matches([member] if member else [], listed.hidden, shows_logins=listed.shows_logins)


def _findable_names(call: Call, operation: str) -> list[str]:
    """Returns the names to pass to `find_invitation` or `find_member`: the address, and the login
    if the service can be searched for logins. Empty if the service cannot be searched."""
    if not call.provider.supports(operation):
        return []
    names = [] if call.email is None else [call.email]
    if call.login is not None and call.provider.finds_logins:
        names.append(f"@{call.login}")
    return names


def _same_login(call: Call) -> Callable[[Invitation | Member], bool] | None:
    """Returns a function that compares a record's login with that of the person; None if the login
    is unknown."""
    return None if call.login is None else partial(_has_login, login_key(call.login))


def _has_login(key: str, record: Invitation | Member) -> bool:
    return any(login_key(one) == key for one in (record.login, record.email) if one)


def find_active_member(call: Call) -> Steps[Guest]:
    """Returns the guest with the member record, without reading invitations. If there is no member
    record, reads all records.
    """
    member = pick_member((yield from _members(call)).items)
    guest = conclude(call.account, call.email, None, member)
    if guest.state is State.ACCEPTED:
        return guest
    return (yield from look(call, members=False))
