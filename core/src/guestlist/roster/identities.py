"""Finds all names of a person in a roster."""

from __future__ import annotations

from collections.abc import Iterable

from guestlist.address import email_key, login_key, read_email
from guestlist.errors import ConfigError
from guestlist.models import Identity


def merged_identity(name: str, identities: Iterable[Identity]) -> Identity:
    """Returns all names of the person who has an address or a login.

    Args:
        name: an address, or a login with a leading `@`.
        identities: the people of the roster. Those with the same main address are one person.

    Returns:
        An identity of the address alone if no person has it.

    Raises:
        InvalidArgument: `name` is not a valid address.
        ConfigError: no person has the login, or people with different names have it.
    """
    is_login = name.startswith("@")
    email, key = ("", login_key(name)) if is_login else read_email(name)
    everybody = list(identities)
    main = {_key(one) for one in everybody if key in _names(one)}
    if len(main) > 1:
        raise ConfigError(
            f"{name} belongs to several people of the roster: {', '.join(sorted(main))}",
            hint="Give the address of the person.",
        )
    if not main:
        if is_login:
            raise ConfigError(
                f"no person in the roster has the login {name}",
                hint="Give the account of the login, or the person's address.",
            )
        return Identity(email=email)
    same = [one for one in everybody if _key(one) in main]
    return Identity(
        email=next((one.email for one in same if one.email), None),
        also=tuple({email_key(also): also for one in same for also in one.also}.values()),
        logins={account: login for one in same for account, login in one.logins.items()},
    )


def _key(one: Identity) -> str:
    """Returns the key by which entries about the same person are recognized."""
    if one.email:
        return email_key(one.email)
    return login_key(next(iter(one.logins.values()), ""))


def _names(one: Identity) -> set[str]:
    """Returns the keys of all names of a person."""
    addresses = {email_key(email) for email in (one.email, *one.also) if email}
    return addresses | {login_key(login) for login in one.logins.values()}
