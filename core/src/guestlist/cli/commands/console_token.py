"""`console token`: creates, lists and revokes tokens of the HTTP API."""

from __future__ import annotations

from datetime import timedelta

from guestlist.cli.document import TokenRow
from guestlist.cli.parser import UsageError
from guestlist.cli.session import Session
from guestlist.ledger import tokens
from guestlist.ledger.tokens import ApiToken, Right

FORMS = {"create": "token create NAME", "list": "token list", "revoke": "token revoke ID"}


def run_token(session: Session) -> None:
    """Carries out `token create NAME`, `token list` or `token revoke ID`."""
    action, argument = _read_words(session.arguments.task)
    if action == "create":
        _create(session, argument)
        return
    store = session.ledger(create=False, read_only=action == "list").store
    if action == "list":
        session.results += [_row(session, one) for one in tokens.all_tokens(store)]
        return
    session.results.append(_row(session, tokens.revoke(store, argument, session.now)))


def _create(session: Session, name: str) -> None:
    given, now = session.arguments, session.now
    if not name.strip() or not name.isprintable():
        raise UsageError(
            f"{name!r} is not a name for a token", hint="Name the program or person that gets it."
        )
    try:
        expires = now + timedelta(seconds=given.expires)
    except OverflowError:
        raise UsageError("the time is out of range", hint="Use one such as 90d.") from None
    ledger = session.ledger(create=True)
    token, secret = tokens.create(
        ledger.store, name, Right(given.right), now=now, expires=expires, by=ledger.origin.actor
    )
    session.results.append(_row(session, token, secret))
    if session.screen is not None:
        # the token alone is on stdout, so that a script can store it
        session.screen.err.print(
            f"The right of this token is `{token.right}`. It expires on {token.expires_at:%d %b %Y}"
            f" and is shown only now. To revoke it: guestlist console token revoke {token.id}",
            highlight=False,
        )
        session.screen.out.print(secret, soft_wrap=True, highlight=False)
        session.printed = True


def _read_words(words: list[str]) -> tuple[str, str]:
    """Returns the action and its argument.

    Raises:
        UsageError: the words are another command.
    """
    form = FORMS.get(words[1], "") if words[1:] else ""
    if words[0] != "token" or len(words) != len(form.split()):
        forms = ", ".join(f"`console {one}`" for one in FORMS.values())
        raise UsageError(
            f"there is no command `console {' '.join(words)}`", hint=f"There are {forms}."
        )
    return words[1], words[-1]


def _row(session: Session, token: ApiToken, secret: str | None = None) -> TokenRow:
    return TokenRow(**dict(token), valid=token.is_valid(session.now), secret=secret)
