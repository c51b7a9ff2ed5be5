"""No key, link or invitation key shows anywhere, whatever is done and whatever goes wrong."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest
from tests.in_process import InProcess

from guestlist import Guestlist, GuestlistError, Unauthorized
from guestlist.sandbox.world import World

ADA = "ada@example.com"


def everything(guests: Any) -> list[Any]:
    """Does all there is to do; what came of it, errors included."""
    case = guests.case
    told: list[Any] = []

    def do(verb: str, *args: Any, **how: Any) -> None:
        try:
            told.append(getattr(guests, verb)(*args, **how))
        except GuestlistError as error:
            told.append(error)

    for _ in range(2):
        do("invite", ADA)
    do("resend", ADA)
    do("status", ADA)
    do("invitations")
    do("members")
    do("roles")
    do("access", case.member)
    do("assign_role", case.member, case.role)
    do("unassign_role", case.member, case.role)
    do("assign_role", ADA, case.role)
    do("revoke", ADA)
    do("remove", case.member)
    do("status", "nobody-has-this-id")
    do("check")
    return told


def secrets_of(guests: Any) -> list[str]:
    links = [mail.link for mail in guests.sandbox.outbox.emails if mail.link]
    keys = [link.rpartition("=")[2] for link in links]
    provider = guests.client.accounts["home"]
    return [*provider.secrets(), *links, *keys]


def shown(value: Any) -> str:
    """A value in every way in which one may come to see it."""
    texts = [repr(value), str(value)]
    if isinstance(value, list):
        return " ".join(map(shown, value))
    if isinstance(value, GuestlistError):
        texts += [json.dumps(value.to_dict()), repr(value.args), repr(value.__dict__)]
    elif hasattr(value, "model_dump_json"):
        texts += [value.model_dump_json(), repr(value.model_dump())]
    return " ".join(texts)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that anybody logs."""
    for name in (None, "guestlist", "httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def test_nothing_shows(guests: Any, log: pytest.LogCaptureFixture) -> None:
    told = everything(guests)
    secrets = secrets_of(guests)
    assert secrets
    assert log.records
    places = {
        "values": shown(told),
        "events": f"{guests.events!r} {[*map(str, guests.events)]}",
        "log": log.text,
        "client": f"{guests.client!r} {guests.client.accounts!r} {guests.client._accounts!r}",
    }
    for place, text in places.items():
        assert not [secret for secret in secrets if secret in text], place


@pytest.mark.parametrize("kind", ["sync"], indirect=True)
def test_a_brought_client_s_log_shows_nothing(
    make: Any, sandbox: World, log: pytest.LogCaptureFixture
) -> None:
    guests = make()
    with httpx.Client(transport=InProcess(sandbox), trust_env=False) as client:
        guests.client = Guestlist(
            guests.client.accounts, http_client=client, clock=guests.client._clock
        )
        everything(guests)
    assert "HTTP Request" in log.text
    assert not [secret for secret in secrets_of(guests) if secret in log.text]


ECHOES = [
    "the key {} is not valid",
    '{{"error": "Invalid API key: {}"}}',
    '{{"error": {{"message": "no", "code": "{}"}}}}',
    '{{"message": "Authorization: Bearer {}"}}',
    '{{"detail": [{{"loc": ["header", "{}"], "msg": "no"}}]}}',
    '{{"trace_id": "{}"}}',
]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_service_that_echoes_the_key(
    faulty: Any, log: pytest.LogCaptureFixture, echo: str, status: int
) -> None:
    key = ""

    def echoing(request: httpx.Request, _: Any) -> httpx.Response:
        nonlocal key
        sent = request.headers.get("x-api-key") or request.headers["authorization"]
        key = sent.rpartition(" ")[2]
        return httpx.Response(status, text=echo.format(key), headers={"x-request-id": key})

    guests = faulty(echoing)
    with pytest.raises(GuestlistError) as caught:
        guests.budgeted(attempts=1).invite(ADA)
    assert key
    places = f"{shown(caught.value)} {guests.events} {log.text}"
    assert key not in places
    cause: BaseException | None = caught.value
    while cause is not None:
        assert key not in f"{cause!r} {getattr(cause, '__notes__', '')}"
        cause = cause.__cause__ or cause.__context__


def test_a_wrong_key_is_not_repeated_in_the_error(make: Any, log: pytest.LogCaptureFixture) -> None:
    guests = make(settings={"api_key": "s3cr3t-wrong-key"})
    with pytest.raises(Unauthorized) as caught:
        guests.check()
    assert "s3cr3t" not in f"{shown(caught.value)} {log.text}"


def test_links_and_keys_are_there_for_those_who_ask(guests: Any) -> None:
    invitation = guests.invite(ADA).guest.invitation
    if guests.case.name == "vultr":
        assert invitation.link is None  # only in the email
        return
    (mail,) = guests.emails(ADA)
    assert invitation.link.get_secret_value() == mail.link
