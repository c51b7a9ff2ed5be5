"""A client of a running sandbox, for the command line and for tests."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from guestlist.errors import MORE_FILES
from guestlist.exchange.faults import TOO_MANY_FILES, too_many_open_files
from guestlist.sandbox.errors import SandboxError
from guestlist.sandbox.service import Email

if TYPE_CHECKING:
    import httpx


REFUSALS = (400, 403, 404, 409, 500)
"""Statuses of a mailbox's refusals and failures. Any other status comes from another server."""


@dataclass(frozen=True)
class ReceivedEmail(Email):
    """An email, with the present state of its invitation."""

    state: str = field(kw_only=True)
    """The service's word for the state, such as `pending`; `gone` if it has no record of it."""


@dataclass(frozen=True)
class SwitchState:
    """The value of a switch, and its possible values."""

    value: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class RunningService:
    """A service of the sandbox."""

    name: str
    title: str
    base_url: str
    profile: str
    profiles: tuple[str, ...]
    switches: Mapping[str, SwitchState]
    settings: Mapping[str, Any]
    """The account settings that reach the service with an owner's key."""
    read_only_settings: Mapping[str, Any]
    can_decline: bool
    invitations: int
    members: int


class SandboxControl:
    """A client for a sandbox's mailbox. Use it in a `with` statement, or `close` it.

    Every method raises `SandboxError` if the sandbox does not answer or refuses the request. For a
    refusal its `status` is 404 (does not exist), 400 (invalid) or 409 (the imitated service does
    not allow it).

    Args:
        url: the mailbox's address, as in `Sandbox.url`.
    """

    def __init__(self, url: str) -> None:
        import httpx

        self._url = url.rstrip("/")
        # Loading certificates takes tens of milliseconds, and plain HTTP needs none.
        no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Ignore proxies of the environment: a sandbox on this machine is never behind one.
        self._http = httpx.Client(
            base_url=f"{self._url}/api/",
            timeout=10.0,
            trust_env=False,
            verify=self._url.startswith("https:") or no_certificates,
        )

    def services(self) -> list[RunningService]:
        """Returns all services."""
        return [_service(one) for one in self._ask("GET", "services")["services"]]

    def emails(
        self,
        to: str | None = None,
        *,
        service: str | None = None,
        state: str | None = None,
        show_links: bool = False,
    ) -> list[ReceivedEmail]:
        """Returns the emails that match every given filter, oldest first.

        Args:
            to: the recipient's address, compared without case.
            service: the name of the sending service.
            state: the present state of the invitation, such as `pending`.
            show_links: shows invitation links, which are secrets and masked otherwise.
        """
        filters = {"to": to, "service": service, "state": state}
        query = {name: value for name, value in filters.items() if value is not None}
        if show_links:
            query["links"] = "show"
        return [_email(one) for one in self._ask("GET", "emails", query=query)["emails"]]

    def accept(self, what: Email | str, *, service: str | None = None) -> str:
        """Accepts as the invitee. Returns the state of the invitation afterwards.

        Args:
            what: an email or its id; with `service`, the id of an invitation.
            service: the name of the service that has the invitation.
        """
        return self._act("accept", what, service)

    def decline(self, what: Email | str, *, service: str | None = None) -> str:
        """Declines as the invitee. Arguments and result are those of `accept`."""
        return self._act("decline", what, service)

    def now(self) -> datetime:
        """Returns the sandbox's time."""
        return datetime.fromisoformat(self._ask("GET", "clock")["now"])

    def advance(self, by: timedelta) -> datetime:
        """Moves the sandbox's clock forward. Returns the new time."""
        answer = self._ask("POST", "clock", {"advance_seconds": by.total_seconds()})
        return datetime.fromisoformat(answer["now"])

    def configure(
        self, service: str, *, profile: str | None = None, **switches: str
    ) -> RunningService:
        """Sets the named profile and switches of a service; the others stay unchanged."""
        wanted = {"profile": profile, "switches": switches}
        return _service(self._ask("POST", f"services/{_segment(service)}/configure", wanted))

    def snapshot(self, service: str) -> dict[str, Any]:
        """Returns the records of a service: at least `invitations` and `members`."""
        return self._ask("GET", f"services/{_segment(service)}/snapshot")

    def reset(self) -> list[RunningService]:
        """Starts over: no emails, fresh services, the current time. Returns the services."""
        return [_service(one) for one in self._ask("POST", "reset")["services"]]

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _act(self, action: str, what: Email | str, service: str | None) -> str:
        id = _segment(what.id if isinstance(what, Email) else what)
        owner = "emails" if service is None else f"services/{_segment(service)}/invitations"
        return str(self._ask("POST", f"{owner}/{id}/{action}")["state"])

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        import httpx

        try:
            answer = self._http.request(method, path, json=body, params=query)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            if too_many_open_files(error):
                why = f"{self._url} cannot be asked: {TOO_MANY_FILES}"
                raise SandboxError(why, hint=MORE_FILES) from error
            raise SandboxError(
                f"no sandbox answers at {self._url}", hint="Start one with `guestlist sandbox`."
            ) from error
        content = _content(answer)
        if answer.is_success and content is not None and "error" not in content:
            return content
        reason = content.get("error") if content is not None and len(content) == 1 else None
        if not isinstance(reason, str) or answer.status_code not in REFUSALS:
            raise SandboxError(
                f"the server at {self._url} is not a sandbox's mailbox",
                hint="Give the mailbox's address, as `guestlist sandbox` prints it.",
            )
        raise SandboxError(reason, status=answer.status_code)


def _content(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        content = answer.json()
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _segment(text: str) -> str:
    return quote(text, safe="")


def _email(fields: dict[str, Any]) -> ReceivedEmail:
    dates = {
        name: datetime.fromisoformat(fields[name]) if fields[name] else None
        for name in ("sent_at", "expires_at")
    }
    return ReceivedEmail(**fields | dates | {"roles": tuple(fields["roles"])})


def _service(fields: dict[str, Any]) -> RunningService:
    switches = {
        name: SwitchState(switch["value"], tuple(switch["values"]))
        for name, switch in fields["switches"].items()
    }
    return RunningService(**fields | {"profiles": tuple(fields["profiles"]), "switches": switches})
