"""Everything that guestlist raises.

    GuestlistError
    ├── CallerMistake            the application's own; nothing was sent
    │   ├── InvalidOrder           an address, id or option that cannot be
    │   ├── UnknownRole            a role name that fits nothing, or more than one thing
    │   ├── Unsupported            the service has no way to do it
    │   └── ConfigError            accounts, settings, files
    │       ├── UnknownAccount
    │       └── PluginError          a hook of a plugin raised
    ├── ServiceRefusal           the service understood and said no
    │   ├── Unauthorized           401
    │   ├── Forbidden              403
    │   ├── NotFound               404
    │   ├── Conflict               409, or a state that does not allow it
    │   │   ├── AlreadyInvited       only with if_exists="error"
    │   │   └── AlreadyMember
    │   └── Rejected               400, 422 and the other 4xx
    ├── ServiceTrouble           the service could not answer properly
    │   ├── RateLimited            429, and waiting was longer than allowed
    │   ├── ServiceUnavailable     no connection, 5xx, time-outs
    │   └── MalformedResponse      an answer that cannot be read
    ├── LedgerError              the ledger cannot be read or written: nothing was sent
    ├── OutcomeUnknown           it may or may not have happened, and looking could not tell
    └── WaitTimeout              `wait` ended before the state was reached

`str(error)` is one line for people. Nothing in an error is ever a secret: the exchange masks
what a service echoes before an error is made from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

LONGEST_WORD, SHORTENED = 500, 60
"""Letters of a word that a headline shows, and those that are left of a longer one."""


class GuestlistError(Exception):
    """The root of all errors of guestlist.

    Attributes:
        message: what happened, without a full stop at the end.
        hint: what to do next, as a sentence; empty if there is nothing to do.
        account: the name of the account, once known.
        email: the address that the call was about, if it was about one.
        status: the HTTP status of the answer, if there was an answer.
        code: the service's own code for it, if it gave one.
        request_id: what to quote to the service's support, if it gave one.
        request: the method and path of the request that the error is about, such as
            `GET /v2/users`, with secrets masked; None if no request was sent.
        happened: whether the request took effect all the same: False means certainly not,
            True certainly, None not known.
        half_done: all that may have happened is that the earlier invitation was withdrawn; the new
            one was certainly not made. To do the same again is safe.
        attempts: how many times the request was sent or tried.
        waited: seconds spent waiting between attempts.
        budget: the part of the call's budget that ended it, such as `4 attempts` or `120 s in
            all`; None when none did.
        retry_after: seconds after which the service accepts requests again, if it said so.
    """

    happened: bool | None = False
    half_done = False
    retry_after: float | None = None

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        account: str | None = None,
        email: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.account = account
        self.email = email
        self.status = status
        self.code = code
        self.request_id = request_id
        self.request: str | None = None
        self.attempts = 0
        self.waited = 0.0
        self.budget: str | None = None

    def about(self, *, account: str | None = None, email: str | None = None) -> Self:
        """Adds where it happened, unless that is known already, and returns the error itself."""
        self.account = self.account or account
        self.email = self.email or email
        return self

    @property
    def headline(self) -> str:
        """What happened, where and about whom, on one line, without the hint."""
        where = f"{self.account}: " if self.account else ""
        about = f" ({self.email})" if self.email and self.email not in self.message else ""
        told = [
            f"HTTP {self.status}" if self.status else "",
            f"code {self.code}" if self.code and self.code not in self.message else "",
            f"request id {self.request_id}" if self.request_id else "",
            *self._particulars(),
        ]
        details = ", ".join(part for part in told if part)
        line = f"{where}{self.message}{about}" + (f" [{details}]" if details else "")
        return " ".join(map(_shortened, line.split()))

    def _particulars(self) -> tuple[str, ...]:
        """Details that only errors of this class show."""
        return ()

    def __str__(self) -> str:
        line = " ".join(f"{self.headline}. {self.hint}".split()).rstrip(" .")
        return line if line.endswith(("?", "!")) else f"{line}."

    def to_dict(self) -> dict[str, Any]:
        """The error for programs: `error` holds the class name; absent facts are left out.

        `happened` is always there: true, false, or null where that is not known.
        """
        facts = {
            "error": type(self).__name__,
            "message": self.message,
            "hint": self.hint,
            "account": self.account,
            "email": self.email,
            "status": self.status,
            "code": self.code,
            "request_id": self.request_id,
            "request": self.request,
            "retry_after": None if self.retry_after is None else round(self.retry_after, 3),
            "attempts": self.attempts,
            "waited": round(self.waited, 3),
            "budget": self.budget,
        }
        told = {name: value for name, value in facts.items() if value not in (None, "", 0)}
        return {**told, "happened": self.happened}


def in_time_units(seconds: float) -> str:
    """A number of seconds as people write it: `0.5 s`, `90 s`, `5 min`, `24 h`, `3 days`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for least, size, unit in ((172_800, 86_400, "days"), (7_200, 3_600, "h"), (120, 60, "min")):
        if seconds >= least:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"


def _shortened(word: str) -> str:
    """A word that would fill the screen, such as a file given for an address, cut short."""
    return word if len(word) <= LONGEST_WORD else f"{word[:SHORTENED]}…"


class CallerMistake(GuestlistError):
    """The application asked for something that cannot be; nothing was sent."""


class InvalidOrder(CallerMistake, ValueError):
    """An address, id, option or combination that cannot be."""


class UnknownRole(CallerMistake, LookupError):
    """A role that fits nothing the service has, or fits more than one thing."""


class Unsupported(CallerMistake, NotImplementedError):
    """The service has no way to do this; the hint names the substitute."""


class ConfigError(CallerMistake):
    """Accounts, settings or a configuration file are not as they must be.

    Attributes:
        problems: where several things are wrong, an error for each; this one tells all of them.
        place: the keys that lead to what is wrong, from the outermost on; empty for the whole.
    """

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        place: tuple[str | int, ...] = (),
        problems: Sequence[ConfigError] = (),
        **facts: Any,
    ) -> None:
        """
        Args:
            where: words before the message that tell the place, unless a file can tell it.
        """
        super().__init__(where + message, **facts)
        self.place = place
        self.problems = tuple(problems)
        self._wrong = message

    @classmethod
    def of(cls, problems: Sequence[ConfigError]) -> ConfigError:
        """The one problem, or one error that tells them all."""
        flat = [one for problem in problems for one in problem.problems or (problem,)]
        if len(flat) == 1:
            return flat[0]
        hints = dict.fromkeys(one.hint for one in flat if one.hint)
        message = "; ".join(one.message for one in flat)
        return ConfigError(message, hint=" ".join(hints), problems=flat)

    def within(self, where: str, *place: str | int) -> Self:
        """Adds where it was met: words before the message, keys before the place."""
        self.message = where + self.message
        self.place = (*place, *self.place)
        for one in self.problems:
            one.within(where, *place)
        return self

    def found_at(self, where: str) -> Self:
        """Says where it was met in words that take the place of all others."""
        self.message = where + self._wrong
        return self


class UnknownAccount(ConfigError, LookupError):
    """No account of that name is configured."""


class PluginError(ConfigError):
    """A hook of an installed plugin raised something that is not an error of guestlist.

    The original exception is the `__cause__`.
    """

    @classmethod
    def in_hook(cls, plugin: str, hook: str, error: str) -> PluginError:
        """Return the error that names the plugin, its package, the hook and the exception.

        Args:
            plugin: its name and package, such as `policy of guestlist-policy 0.1`.
            error: the exception's class. Its text may contain secrets.
        """
        return cls(
            f"the plugin {plugin} failed in {hook} ({error})",
            hint="Update or uninstall that package, or report it to its authors.",
        )


class ServiceRefusal(GuestlistError):
    """The service understood the request and said no."""


class Unauthorized(ServiceRefusal):
    """The service does not accept the credentials (401)."""


class Forbidden(ServiceRefusal):
    """The credentials may not do this (403). The message names the request that was refused."""

    def _particulars(self) -> tuple[str, ...]:
        return (self.request or "",)


class NotFound(ServiceRefusal, LookupError):
    """The service does not know what was asked for (404)."""


class Conflict(ServiceRefusal):
    """The present state does not allow it (409, or seen before sending)."""


class AlreadyInvited(Conflict):
    """An invitation is open and the caller asked for an error in that case."""


class AlreadyMember(Conflict):
    """The person is a member and the caller asked for an error in that case."""


class Rejected(ServiceRefusal):
    """The service refused the request as it was made (400, 422, other 4xx)."""


class _GaveUp(GuestlistError):
    """An error that ended a call after retries. The headline shows how many, and how long."""

    def _particulars(self) -> tuple[str, ...]:
        return (
            f"{self.attempts} attempts" if self.attempts > 1 else "",
            f"{self.waited:.1f} s waited" if self.waited >= 0.1 else "",
            f"the budget is {self.budget}" if self.budget else "",
        )


class ServiceTrouble(_GaveUp):
    """The service could not answer properly; the same call may succeed later."""


class RateLimited(ServiceTrouble):
    """Too many requests, and the time to wait does not fit into the call's budget."""

    def __init__(self, message: str, *, retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after

    def _particulars(self) -> tuple[str, ...]:
        wait = self.retry_after
        return (f"retry after {in_time_units(wait)}" if wait else "", *super()._particulars())


class ServiceUnavailable(ServiceTrouble):
    """No connection, a time-out, or an error on the service's side."""


class MalformedResponse(ServiceTrouble):
    """An answer that cannot be read: not JSON, cut off, of another shape, or too large."""


class LedgerError(GuestlistError):
    """The ledger cannot be read or written. What is not written down is not sent."""


class OutcomeUnknown(_GaveUp):
    """It may or may not have happened, and looking could not tell, or there was no time to look.

    Attributes:
        order: what was asked for (`guestlist.models.Order`), or None when it was not an invitation.
    """

    happened: bool | None = None

    def __init__(self, message: str, *, order: Any = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.order = order


class WaitTimeout(_GaveUp, TimeoutError):
    """`wait` ran out of time before the state was reached.

    Attributes:
        guest: the last that was seen (`guestlist.models.Guest`), or None when every look failed.
    """

    def __init__(self, message: str, *, guest: Any = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.guest = guest
