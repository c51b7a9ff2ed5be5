"""The current members and invited people of all accounts, with roles as a roster names them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from guestlist.address import email_key, login_key
from guestlist.client import Guestlist
from guestlist.errors import MalformedResponse, UnknownRole
from guestlist.exchange.account import Account
from guestlist.models import OPEN_STATES, Member, Role, State
from guestlist.roster.desired import AccessResolver
from guestlist.roster.reading import Progress, Reading, invitation_from, person_state, read_accounts
from guestlist.roster.store import Fact, Kind, PlanStore


class CurrentPerson(NamedTuple):
    """A member or an invited person of one account.

    Attributes:
        email: the address; empty if it is not known.
        roles: the labels of the roles; None if the service does not show them.
        login: the login of a person without an address.
    """

    account: str
    email: str
    roles: tuple[str, ...] | None
    state: State = State.ACCEPTED
    login: str = ""

    @property
    def key(self) -> str:
        """The text that identifies the person. The same login in two accounts may be two people."""
        return key_of(self.account, self.email, self.login)


def key_of(account: str, email: str, login: str) -> str:
    """Returns what identifies a person. The same login in two accounts may be two people."""
    return email_key(email) if email else f"{login_key(login)} {account}"


class CurrentPeople:
    """Iterates over the current members and invited people of accounts.

    Use it in a `with` block: the people are in a temporary database that the block closes. Memory
    does not grow with their number.

    Args:
        names: the accounts. They are read immediately.
        progress: see `guestlist.roster.reading.Progress`.

    Attributes:
        read: the result of reading, by account.
    """

    def __init__(
        self, guests: Guestlist, names: Sequence[str], *, progress: Progress | None = None
    ) -> None:
        self._guests = guests
        self._names = names
        self._store = PlanStore()
        try:
            self.read = read_accounts(
                guests,
                names,
                self._store,
                managed=names,
                everybody=True,
                needs_details=may_be_closed,
                progress=progress,
            )
        except BaseException:
            self._store.close()
            raise
        for name, reading in self.read.items():
            if reading.problems and reading.error is None:
                reading.error = MalformedResponse(
                    f"a list has a record that cannot be parsed: {reading.problems[0]}",
                    hint="A roster without that person would be wrong. Correct the record at the"
                    " service, or report it to the authors of the provider.",
                    account=name,
                )

    def __enter__(self) -> CurrentPeople:
        return self

    def __exit__(self, *error: object) -> None:
        self._store.close()

    def __iter__(self) -> Iterator[CurrentPerson]:
        """Yields each person once per account, with the roles that a plan would leave alone."""
        accounts = [_Account(self._guests, name, self.read[name]) for name in self._names]
        for facts in self._store.people():
            account = accounts[facts[0].account]
            guest = person_state(account.account, None, facts).guest
            member, invitation = guest.member, guest.invitation
            if guest.state is State.ACCEPTED and member is not None:
                roles = None if member.roles is None else account.member_roles(member.roles)
                yield account.person(member, roles, guest.state)
            elif invitation is not None:
                email, offered = invitation.email, account.invitation_roles(invitation.roles)
                login = "" if email else invitation.login or ""
                yield CurrentPerson(guest.account, email or "", offered, guest.state, login)
            elif member is not None:
                yield account.person(member, None, guest.state)


def may_be_closed(_account: str, _reading: Reading, facts: Sequence[Fact]) -> bool:
    """Returns whether the invitation may be closed, according to its summary."""
    states = (invitation_from(fact.brief).state for fact in facts if fact.kind == Kind.INVITATION)
    return not all(state in OPEN_STATES for state in states)


class _Account:
    """Names the roles of one account."""

    def __init__(self, guests: Guestlist, name: str, reading: Reading) -> None:
        provider = guests.accounts[name]
        self.account = Account(name, provider, guests.clock)
        self._wishes = AccessResolver(provider, reading.roles)
        self._listed: Mapping[tuple[str, str], Role] = {
            (role.kind, role.id): role for role in reading.roles
        }
        self._any = not provider.supports("roles")

    def person(self, member: Member, roles: tuple[str, ...] | None, state: State) -> CurrentPerson:
        """Returns a member as `pull` takes it. If the service does not show the addresses of
        members, they are named by their logins."""
        name = self.account.name
        if member.address or self.account.provider.members_show_emails or not member.login:
            return CurrentPerson(name, member.label, roles, state)
        return CurrentPerson(name, "", roles, state, member.login)

    def member_roles(self, held: Iterable[Role]) -> tuple[str, ...] | None:
        """Returns the names of a member's grantable roles. Plans never revoke other roles.

        Returns:
            None if a roster cannot express these roles.
        """
        held = list(held)
        grantable = [role for role in held if self._any or (role.kind, role.id) in self._listed]
        return self._names(grantable) if grantable or not held else None

    def invitation_roles(self, offered: Sequence[Role]) -> tuple[str, ...] | None:
        """Returns the names of the roles that an invitation offers.

        Returns:
            None if the invitation does not show roles, or a roster cannot express them.
        """
        return self._names(offered) if offered else None

    def _names(self, roles: Iterable[Role]) -> tuple[str, ...] | None:
        found = []
        for role in roles:
            word = self._wishes.word(self._listed.get((role.kind, role.id), role))
            try:
                role_id = self._wishes.role(word)
            except UnknownRole:
                return None
            if (role_id.kind, role_id.id) != (role.kind, role.id):
                return None
            found.append(word)
        return tuple(found)
