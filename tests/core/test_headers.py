"""What goes into the headers of a request: what is constant, and what the credentials become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from guestlist.errors import ConfigError
from guestlist.exchange.account import Account, Budget
from guestlist.provider import Provider, Request, setting


class Hub(Provider):
    """A service that wants its version in a header, and SCIM's kind of JSON."""

    name = "hub"
    title = "Hub"
    base_url: str = setting("Where it is", default="https://hub.example")
    key: str = setting("A key", default="hunter2-hunter2", secret=True)
    site: str = setting("The site", default="one")

    @property
    def headers(self) -> Mapping[str, str]:
        return {
            "accept": "application/scim+json",
            "Content-Type": "application/scim+json",
            "X-Version": "2",
            "X-Site": self.site,
        }


def sent(provider: Provider, request: Request) -> Mapping[str, str]:
    return Account("hub", provider).outgoing(request, Budget(), 10.0).headers


def test_constant_headers_go_with_every_request() -> None:
    headers = sent(Hub(site="two"), Request.get("things", public=True))
    assert (headers["Accept"], headers["X-Version"], headers["X-Site"]) == (
        "application/scim+json",
        "2",
        "two",
    )
    assert "accept" not in headers
    assert "Content-Type" not in headers
    assert headers["User-Agent"].startswith("guestlist/")
    posted = sent(Hub(), Request.post("things", json={}))
    assert posted["Content-Type"] == "application/scim+json"


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"X Version": "2"}, "'X Version' has a name that cannot be sent"),
        ({"X-Version": 2}, "'X-Version' is no text: it is int"),
        ({"X-Version": "2\r\nX-Evil: 1"}, "holds what cannot be sent"),
        ({"X-Version": "ü"}, "holds what cannot be sent"),
        ({"X-Version": ""}, "holds what cannot be sent"),
        ({"Host": "elsewhere.example"}, "is set by guestlist"),
        ({"Authorization": "Bearer x"}, "belong into `authorize`"),
        ({"X-Key": "k=hunter2-hunter2"}, "belong into `authorize`"),
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
