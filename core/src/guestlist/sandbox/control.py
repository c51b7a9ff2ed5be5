"""Drives a running sandbox from another program: the command line, or a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from guestlist.sandbox.errors import SandboxError
from guestlist.sandbox.service import Mail

if TYPE_CHECKING:
    import httpx


REFUSALS = (400, 403, 404, 409, 500)
"""With what a mailbox refuses, or fails. Another answer is another's, such as a service's 401."""


@dataclass(frozen=True)
class ReceivedMail(Mail):
    """An email, with the present state of its invitation."""

    state: str = field(kw_only=True)
    """The service's own word, or `gone` when it has no record of the invitation."""


@dataclass(frozen=True)
class SwitchState:
    """How a switch is set, and how it could be."""

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
    settings: Mapping[str, str]
    """The account settings that reach it with an owner's rights."""
    read_only_settings: Mapping[str, str]
    can_decline: bool
    invitations: int
    members: int


class SandboxControl:
    """A client for a sandbox's mailbox. Use it with `with`, or `close` it.

    Every method raises `SandboxError`, one line, when nothing answers at the address, or when
    the sandbox refuses; then `status` says how: 404 for what does not exist, 400 for what
    cannot be, 409 for what the imitated service does not allow its invitee.

    Args:
        url: the mailbox's address, as `Sandbox.url`.
    """

    def __init__(self, url: str) -> None:
        import httpx

        self._url = url.rstrip("/")
        # A sandbox on this machine is never behind a proxy, whatever the environment says.
        self._http = httpx.Client(base_url=f"{self._url}/api/", timeout=10.0, trust_env=False)

    def services(self) -> list[RunningService]:
        """All services."""
        return [_service(one) for one in self._ask("GET", "services")["services"]]

    def mails(
        self,
        to: str | None = None,
        *,
        service: str | None = None,
        state: str | None = None,
        show_links: bool = False,
    ) -> list[ReceivedMail]:
        """The emails that match every given filter, oldest first.

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
        return [_mail(one) for one in self._ask("GET", "mails", query=query)["mails"]]

    def accept(self, what: Mail | str, *, service: str | None = None) -> str:
        """Accepts as the invitee; the invitation's state afterwards, in the service's word.

        Args:
            what: a mail or its id; with `service`, the id of an invitation.
        """
        return self._act("accept", what, service)

    def decline(self, what: Mail | str, *, service: str | None = None) -> str:
        """Declines as the invitee; otherwise like `accept`."""
        return self._act("decline", what, service)

    def now(self) -> datetime:
        """The sandbox's time."""
        return datetime.fromisoformat(self._ask("GET", "clock")["now"])

    def advance(self, by: timedelta) -> datetime:
        """Moves the sandbox's time forward; the time afterwards."""
        answer = self._ask("POST", "clock", {"advance_seconds": by.total_seconds()})
        return datetime.fromisoformat(answer["now"])

    def configure(
        self, service: str, *, profile: str | None = None, **switches: str
    ) -> RunningService:
        """Chooses the profile and the switches of a service; what is not named stays."""
        wanted = {"profile": profile, "switches": switches}
        return _service(self._ask("POST", f"services/{_segment(service)}/configure", wanted))

    def snapshot(self, service: str) -> dict[str, Any]:
        """What a service holds: at least `invitations` and `members`."""
        return self._ask("GET", f"services/{_segment(service)}/snapshot")

    def reset(self) -> list[RunningService]:
        """Starts over: no mails, fresh services, the present time."""
        return [_service(one) for one in self._ask("POST", "reset")["services"]]

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _act(self, action: str, what: Mail | str, service: str | None) -> str:
        id = _segment(what.id if isinstance(what, Mail) else what)
        owner = "mails" if service is None else f"services/{_segment(service)}/invitations"
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
            raise SandboxError(
                f"no sandbox answers at {self._url}", hint="Start one with `guestlist sandbox`."
            ) from error
        content = _content(answer)
        if answer.is_success and content is not None and "error" not in content:
            return content
        told = content.get("error") if content is not None else None
        if not isinstance(told, str) or answer.status_code not in REFUSALS:
            raise SandboxError(
                f"what answers at {self._url} is not a sandbox's mailbox",
                hint="Give the mailbox's address, as `guestlist sandbox` prints it.",
            )
        raise SandboxError(told, status=answer.status_code)


def _content(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        content = answer.json()
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _segment(text: str) -> str:
    return quote(text, safe="")


def _mail(fields: dict[str, Any]) -> ReceivedMail:
    dates = {
        name: datetime.fromisoformat(fields[name]) if fields[name] else None
        for name in ("sent_at", "expires_at")
    }
    return ReceivedMail(**fields | dates | {"roles": tuple(fields["roles"])})


def _service(fields: dict[str, Any]) -> RunningService:
    switches = {
        name: SwitchState(switch["value"], tuple(switch["values"]))
        for name, switch in fields["switches"].items()
    }
    return RunningService(**fields | {"profiles": tuple(fields["profiles"]), "switches": switches})
