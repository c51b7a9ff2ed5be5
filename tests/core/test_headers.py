"""What goes into the headers of a request: what is constant, and what the credentials become."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Mapping
from itertools import count
from typing import Any

import httpx
import pytest

from guestlist import Guestlist
from guestlist.errors import ConfigError, GuestlistError
from guestlist.event import Event
from guestlist.exchange.account import Account, Budget
from guestlist.exchange.headers import iter_secret_parts
from guestlist.provider import Flow, Provider, Request, operation, setting
from pytest_guestlist.scrub import Scrubber


class Hub(Provider):
    """A service that wants its version in a header, and SCIM's kind of JSON."""

    name = "hub"
    title = "Hub"
    base_url: str = setting("Where it is", default="https://hub.example")
    media_type = "application/scim+json"
    key: str = setting("A key", default="hunter2-hunter2", secret=True)
    site: str = setting("The site", default="one")

    @property
    def headers(self) -> Mapping[str, str]:
        return {"X-Version": "2", "X-Site": self.site}


def sent(provider: Provider, request: Request) -> Mapping[str, str]:
    return Account("hub", provider).outgoing(request, Budget()).headers


def test_constant_headers_go_with_every_request() -> None:
    headers = sent(Hub(site="two"), Request.get("things", public=True))
    assert (headers["Accept"], headers["X-Version"], headers["X-Site"]) == (
        "application/scim+json",
        "2",
        "two",
    )
    assert "Content-Type" not in headers
    assert headers["User-Agent"].startswith("guestlist/")
    posted = sent(Hub(), Request.post("things", json={}))
    assert posted["Content-Type"] == "application/scim+json"


def test_accept_can_differ_from_the_media_type_of_bodies() -> None:
    class Versioned(Hub):
        @property
        def headers(self) -> Mapping[str, str]:
            return {"accept": "application/vnd.hub.v2+json"}

    headers = sent(Versioned(), Request.post("things", json={}))
    assert headers["Accept"] == "application/vnd.hub.v2+json"
    assert headers["Content-Type"] == "application/scim+json"
    assert "accept" not in headers


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"X Version": "2"}, "'X Version' has a name that cannot be sent"),
        ({"X-Version": 2}, "'X-Version' is not a string: it is int"),
        ({"X-Version": "2\r\nX-Evil: 1"}, "contains a character that cannot be sent"),
        ({"X-Version": "ü"}, "contains a character that cannot be sent"),
        ({"X-Version": ""}, "contains a character that cannot be sent"),
        ({"Host": "elsewhere.example"}, "is set by guestlist"),
        ({"content-type": "text/xml"}, "is declared as `media_type`"),
        ({"Authorization": "Bearer x"}, "return them from `authorize`"),
        ({"X-Key": "k=hunter2-hunter2"}, "return them from `authorize`"),
    ],
)
def test_a_header_that_cannot_be_is_refused(headers: Any, told: str) -> None:
    class Wrong(Hub):
        @property
        def headers(self) -> Mapping[str, str]:
            return headers  # type: ignore[no-any-return]

    with pytest.raises(ConfigError, match=f"^Hub: the header .*{told}") as caught:
        Account("hub", Wrong())
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------------- derived credentials


class Basic(Hub):
    """A service that wants user and password."""

    user: str = setting("Who", default="me")

    def authorize(self) -> Mapping[str, str]:
        pair = base64.b64encode(f"{self.user}:{self.key}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    @operation
    def organization(self) -> Flow[str]:
        reply = yield Request.get("me")
        return str(reply.mapping()["name"])


PAIR = base64.b64encode(b"me:hunter2-hunter2").decode()


def test_what_follows_the_scheme_is_secret_too() -> None:
    assert [*iter_secret_parts({"A": "Basic abc", "B": "k=1 2", "C": "key"})] == [
        "Basic abc",
        "abc",
        "k=1 2",
        "key",
    ]


@pytest.mark.parametrize("echo", ["{}", "you sent '{}'", "me, {}!", "%s"])
def test_derived_credentials_do_not_show(echo: str, caplog: pytest.LogCaptureFixture) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        sent = request.headers["authorization"]
        told = echo.replace("%s", sent.partition(" ")[2]).format(sent)
        body = {"error": {"message": told, "code": told}}
        return httpx.Response(400, json=body, headers={"x-request-id": told})

    events: list[Event] = []
    transport = httpx.MockTransport(answer)
    with (
        caplog.at_level(logging.DEBUG, logger="guestlist"),
        Guestlist({"hub": Basic()}, transport=transport, watch=events.append) as guests,
        pytest.raises(GuestlistError) as caught,
    ):
        guests.check()
    error = caught.value
    told = f"{error} {error!r} {error.to_dict()} {events} {caplog.text}"
    told += "".join(traceback.format_exception(error))
    assert "********" in told
    assert PAIR not in told


def test_credentials_that_change_with_each_request_do_not_show() -> None:
    numbers = count()

    class Signing(Hub):
        def authorize(self) -> Mapping[str, str]:
            return {"Authorization": f"Signed nonce-{next(numbers)}-of-it"}

    account = Account("hub", Signing())
    for _ in range(100):
        account.outgoing(Request.get("me"), Budget())
    assert "nonce-99" not in account.redact("x nonce-99-of-it y")
    assert "nonce-98" not in account.redact("x nonce-98-of-it y")


def test_derived_credentials_are_not_in_cassettes() -> None:
    scrub = Scrubber([Basic()])
    kept = scrub.request_headers({"Authorization": f"Basic {PAIR}"})
    assert PAIR not in str(kept)
    assert PAIR not in scrub.text(f"you sent {PAIR}")
