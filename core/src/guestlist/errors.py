"""The exceptions that guestlist raises.

    GuestlistError
    ├── CallerMistake            the application made a mistake; nothing was changed
    │   ├── InvalidArgument           an invalid address, id or option
    │   ├── UnknownRole            no role matches, or several do
    │   ├── Unsupported            the service cannot do it
    │   └── ConfigError            invalid accounts, settings or files
    │       ├── UnknownAccount       no account of that name
    │       └── PluginError          a hook of a plugin raised an exception
    ├── ServiceRefusal           the service understood the request and refused it
    │   ├── Unauthorized           401
    │   ├── Forbidden              403
    │   │   └── SeatLimit          the organization is full
    │   ├── NotFound               404
    │   ├── Conflict               409, or a state that does not allow the change
    │   │   ├── AlreadyInvited       only with if_exists="error"
    │   │   └── AlreadyMember        only with if_exists="error"
    │   └── Rejected               400, 422 and the other 4xx
    ├── ServiceTrouble           the service gave no proper answer
    │   ├── RateLimited            429, and the pause is longer than the budget allows
    │   ├── ServiceUnavailable     no connection, 5xx except 501, timeouts
    │   └── MalformedResponse      an answer that cannot be parsed
    ├── LedgerError              the ledger cannot be read or written
    ├── OutcomeUnknown           the request may have taken effect, and a lookup found no proof
    └── WaitTimeout              `wait` ended before the state was reached

`str(error)` is one line for people. An error never contains a secret: secrets that a service
repeats in its answer are masked before the error is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

MORE_FILES = "Allow more open files, for example with `ulimit -n 1024`."
"""The hint if this process or machine has too many open files."""
LONGEST_WORD, SHORTENED = 500, 60
"""The maximum length of a word in a headline, and the length to which a longer one is cut."""


class GuestlistError(Exception):
    """The base class of all errors of guestlist.

    Catch it to handle every error in one place, and decide by `happened` whether to repeat the
    call.

    Attributes:
        message: what is wrong, without a full stop at the end.
        hint: what to do, as a sentence. Empty if there is nothing to do.
        account: the name of the account, if known.
        email: the address of the person, if the call was about one person.
        status: the HTTP status code, if the service answered.
        code: the service's own error code, if it gave one.
        request_id: the service's id of the request, if it gave one. Quote it to its support.
        request: the method and path of the request, such as `GET /v2/users`, with secrets masked.
            None if no request was sent.
        happened: whether the request took effect: True, False, or None if that is unknown.
        half_done: True if the earlier invitation may have been revoked, but the new one was
            certainly not created, or the person is a member. Repeating the call is safe.
        prepared: True if the service has a record of the person by now, and the email was certainly
            not sent. Repeat the call, with the same client or with a ledger: without them, the
            record looks like an invitation.
        success_page: True if the answer had a success status, but is not from the service's API.
            The service may have acted, even if its lists do not show it.
        attempts: how many times the request was sent, or sending was tried.
        waited: seconds spent waiting between attempts.
        budget: the limit of the call's budget that was reached, such as `4 attempts` or `120 s in
            all`. None if no limit was reached.
        retry_after: seconds until the service accepts requests again, if it gave them.
    """

    happened: bool | None = False
    half_done = False
    prepared = False
    success_page = False
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
        """Sets the account and address if they are not set yet, and returns the error."""
        self.account = self.account or account
        self.email = self.email or email
        return self

    @property
    def reports_success(self) -> bool:
        """Whether the answer had a success status. Then the request must not be sent again, even if
        the service's lists do not show its effect."""
        return bool(self.happened) or self.success_page

    @property
    def headline(self) -> str:
        """The message with account, address and details on one line, without the hint."""
        where = f"{self.account}: " if self.account else ""
        about = f" ({self.email})" if self.email and self.email not in self.message else ""
        parts = [
            f"HTTP {self.status}" if self.status else "",
            f"code {self.code}" if self.code and self.code not in self.message else "",
            f"request id {self.request_id}" if self.request_id else "",
            *self._particulars(),
        ]
        details = ", ".join(part for part in parts if part)
        line = f"{where}{self.message}{about}" + (f" [{details}]" if details else "")
        return " ".join(map(_shortened, line.split()))

    def _particulars(self) -> tuple[str, ...]:
        """Details that only errors of this class show."""
        return ()

    def __str__(self) -> str:
        line = " ".join(f"{self.headline}. {self.hint}".split()).rstrip(" .")
        return line if line.endswith(("?", "!")) else f"{line}."

    def to_dict(self) -> dict[str, Any]:
        """Returns the error as a dictionary for JSON: `error` is the class name.

        Attributes without a value are left out, except `happened`: it is true, false, or null if
        unknown.
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
        known = {name: value for name, value in facts.items() if value not in (None, "", 0)}
        return {**known, "happened": self.happened}


def missing_package_error(what: str, error: ModuleNotFoundError, extra: str) -> ConfigError:
    """Returns the error for a feature that needs a package which is not installed.

    Args:
        what: the feature.
        error: the error of the import.
        extra: the extra of `guestlist` that installs the package.
    """
    return ConfigError(f"{what} needs {error.name}", hint=f'Run: pip install "guestlist[{extra}]"')


def in_time_units(seconds: float) -> str:
    """Formats a number of seconds for people: `0.5 s`, `90 s`, `5 min`, `24 h`, `3 days`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for least, size, unit in ((172_800, 86_400, "days"), (7_200, 3_600, "h"), (120, 60, "min")):
        if seconds >= least:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"


def _shortened(word: str) -> str:
    """Shortens a word that would fill the screen, such as a file passed as an address."""
    return word if len(word) <= LONGEST_WORD else f"{word[:SHORTENED]}…"


class CallerMistake(GuestlistError):
    """The application made a mistake. Nothing was changed.

    This is the base class of the errors that a change in the program, its input or its
    configuration can correct. Repeating the same call raises the same error.
    """


class InvalidArgument(CallerMistake, ValueError):
    """An address, id, option or combination of arguments is invalid.

    Raised before anything is sent, also if the address is outside the allowed domains or a plugin
    refuses the invitation. Correct the argument that the message names.
    """


class UnknownRole(CallerMistake, LookupError):
    """No role of the service matches, or more than one does.

    Raised before anything is changed. The hint lists similar or matching roles; pass one of them,
    by its id if several have the same name.
    """


class Unsupported(CallerMistake, NotImplementedError):
    """The service cannot do what was asked.

    Raised before anything is changed. The hint names an alternative if there is one.
    """


class ConfigError(CallerMistake):
    """An account, a setting or a configuration file is invalid.

    Raised if a client, a roster or a ledger is opened. Correct what the message names; for files it
    contains file and line.

    Attributes:
        problems: one error for each problem, if there are several. The message names all.
        place: the keys that lead to the invalid value, outermost first. Empty if the whole file is
            invalid.
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
            where: text before the message that names the location. A file replaces it by file and
                line.
        """
        super().__init__(where + message, **facts)
        self.place = place
        self.problems = tuple(problems)
        self._wrong = message

    @classmethod
    def of(cls, problems: Sequence[ConfigError]) -> ConfigError:
        """Returns the only problem, or one error whose message names all of them."""
        flat = [one for problem in problems for one in problem.problems or (problem,)]
        if len(flat) == 1:
            return flat[0]
        hints = dict.fromkeys(one.hint for one in flat if one.hint)
        message = "; ".join(one.message for one in flat)
        return ConfigError(message, hint=" ".join(hints), problems=flat)

    def within(self, where: str, *place: str | int) -> Self:
        """Adds a location: text before the message, and keys before `place`."""
        self.message = where + self.message
        self.place = (*place, *self.place)
        for one in self.problems:
            one.within(where, *place)
        return self

    def found_at(self, where: str) -> Self:
        """Replaces the location before the message."""
        self.message = where + self._wrong
        return self


class UnknownAccount(ConfigError, LookupError):
    """No account of that name is configured, or a call has to name one of several accounts.

    Correct or add the name, which the hint helps to find, or add the account to the configuration.
    """


class PluginError(ConfigError):
    """A hook of an installed plugin raised an exception that is not an error of guestlist.

    Raised from the call that ran the hook. The original exception is the `__cause__`. Update or
    uninstall the plugin.
    """

    @classmethod
    def in_hook(cls, plugin: str, hook: str, error: str) -> PluginError:
        """Return the error that names the plugin, its package, the hook and the exception.

        Args:
            plugin: its name and package, such as `policy of guestlist-policy 0.1`.
            error: the name of the exception's class. Its text may contain secrets.
        """
        return cls(
            f"the plugin {plugin} failed in {hook} ({error})",
            hint="Update or uninstall that package, or report it to its authors.",
        )


class ServiceRefusal(GuestlistError):
    """The service understood the request and refused it.

    The refused request changed nothing. Repeating the same call raises the same error until
    something changes at the service.
    """


class Unauthorized(ServiceRefusal):
    """The service does not accept the credentials (HTTP 401).

    Raised by any call if the key is wrong, expired or revoked. Replace the key of the account.
    """


class Forbidden(ServiceRefusal):
    """The credentials are valid, but do not permit this (HTTP 403).

    `str(error)` names the refused request. Give the key's owner the missing permission, or use
    another key.
    """

    def _particulars(self) -> tuple[str, ...]:
        return (self.request or "",)


class SeatLimit(Forbidden):
    """The organization is full: its plan allows no more members or invitations.

    Free a seat, for example with `remove` or `revoke`, or raise the limit at the service. People
    who are members or invited already are not refused.
    """


class NotFound(ServiceRefusal, LookupError):
    """The service does not have the invitation, member or other record (HTTP 404).

    Also raised without a request that failed, if no list contains the person. Check the address or
    id, and the account.
    """


class Conflict(ServiceRefusal):
    """The present state does not allow the change (HTTP 409, or found before sending).

    For example: revoking an accepted invitation, or giving a role to a person who is not a member
    yet. Read the person's `status` to decide what to do. `apply` raises it for a plan that is over
    the roster's limits, and for a saved plan that is out of date.
    """


class AlreadyInvited(Conflict):
    """The person has an open invitation.

    Raised only by `invite(if_exists="error")`. To accept an open invitation as success, leave out
    `if_exists`.
    """


class AlreadyMember(Conflict):
    """The person is a member already.

    Raised only by `invite(if_exists="error")`. To accept a member as success, leave out
    `if_exists`.
    """


class Rejected(ServiceRefusal):
    """The service found the request invalid (HTTP 400, 422 and other 4xx).

    The message contains the service's own explanation. Correct the call; if it looks right, report
    the error to the authors of the plugin.
    """


class _GaveUp(GuestlistError):
    """An error that ended a call after retries. The headline shows their number and duration."""

    def _particulars(self) -> tuple[str, ...]:
        return (
            f"{self.attempts} attempts" if self.attempts > 1 else "",
            f"{self.waited:.1f} s waited" if self.waited >= 0.1 else "",
            f"the budget is {self.budget}" if self.budget else "",
        )


class ServiceTrouble(_GaveUp):
    """The service gave no proper answer.

    The same call may succeed later. `happened` states whether the request took effect.
    """


class RateLimited(ServiceTrouble):
    """The service accepts no more requests for now (HTTP 429).

    Raised if the pause is longer than the call's budget allows. The request had no effect. Repeat
    the call after `retry_after` seconds, or give it a larger budget.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after

    def _particulars(self) -> tuple[str, ...]:
        wait = self.retry_after
        return (f"retry after {in_time_units(wait)}" if wait else "", *super()._particulars())


class ServiceUnavailable(ServiceTrouble):
    """The service could not be reached, did not answer in time, or failed (HTTP 5xx except 501).

    Raised after the attempts that the budget allows. Repeat the call later. If it never succeeds,
    check the network, the proxy and the account's `base_url`.
    """


class MalformedResponse(ServiceTrouble):
    """The service's answer cannot be parsed: not JSON, truncated, too large or of another shape.

    Also raised if a list is incomplete and does not contain the person. `happened` is True if the
    answer confirmed a change before reading it failed. If it persists, update the plugin or report
    it to its authors.
    """


class LedgerError(GuestlistError):
    """The ledger cannot be read or written.

    A change that cannot be recorded is not sent. Check the disk or the database, then repeat the
    call: requests without an answer are looked up first.
    """


class OutcomeUnknown(_GaveUp):
    """The request may have taken effect, and looking it up gave no proof either way.

    Raised if no answer came and the lookup failed, was inconclusive or exceeded the budget. Repeat
    the call later: it looks again before it sends. If that raises the same error, ask the person
    whether the email arrived.

    Attributes:
        invitation: the invitation that may have been sent (`guestlist.NewInvitation`). None if the
            call was not an invitation.
    """

    happened: bool | None = None

    def __init__(self, message: str, *, invitation: Any = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.invitation = invitation


class WaitTimeout(_GaveUp, TimeoutError):
    """The time of `wait` or `onboard` ended before the state was reached.

    The invitation stays open. Call again to go on waiting.

    Attributes:
        guest: the guest (`guestlist.Guest`) as last read. None if every attempt to read failed.
    """

    def __init__(self, message: str, *, guest: Any = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.guest = guest
