"""Where an account's service is: what a provider may declare, and a tenant in the host."""

from __future__ import annotations

from typing import Any

import pytest

from guestlist.errors import ConfigError
from guestlist.provider import Provider, setting
from pytest_guestlist.accounts import stand_in


class Hall(Provider):
    """A service where every customer has a host."""

    name = "hall"
    title = "Hall"
    hall: str = setting("The name before .hall.example", env="HALL_HALL")
    region: str = setting("Where", default="eu")
    key: str = setting("A key", secret=True, default="s3cr3t")
    base_url: str = setting("Where", default="https://{hall}.{region}.hall.example/api/{hall}")


def test_the_default_holds_other_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Hall(hall="Acme").base_url == "https://acme.eu.hall.example/api/Acme"
    assert Hall(hall="a.b-c", region="us").base_url == "https://a.b-c.us.hall.example/api/a.b-c"
    assert Hall(hall="acme", base_url="https://acme.example/").base_url == "https://acme.example"
    monkeypatch.setenv("HALL_HALL", "outside")
    assert Hall().base_url == "https://outside.eu.hall.example/api/outside"


@pytest.mark.parametrize(
    "hall",
    ["evil.example/", "evil.example#", "a@evil.example", "a:b", "a b", "..", "", "{key}", "ü"],
)
def test_a_part_that_would_lead_elsewhere_is_refused(hall: str) -> None:
    with pytest.raises(ConfigError, match=r"^Hall: hall: it may contain only letters") as caught:
        Hall(hall=hall)
    assert caught.value.place == ("hall",)
    assert "\n" not in str(caught.value)


def test_a_part_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^Hall: hall: it is missing \(or set HALL_HALL\)"):
        Hall()
    with pytest.raises(ConfigError, match=r"^Hall: base_url: it contains braces"):
        Hall(hall="acme", base_url="https://{hall}.hall.example")


def test_cassettes_show_a_host_of_their_own() -> None:
    assert stand_in(Hall).base_url == "https://hall.eu.hall.example/api/HALL"


@pytest.mark.parametrize(
    ("default", "told"),
    [
        ("", "the default is invalid: it has to be a URL"),
        ("hall.example", "the default is invalid: it has to be a URL"),
        ("http://hall.example", "the default is invalid: plain http"),
        (None, "the default has to be a string, not NoneType"),
        (lambda: "https://hall.example", "the default has to be a string, not function"),
        ("https://{tenant}.hall.example", "there is no setting 'tenant'"),
        ("https://{key}.hall.example", "'key' is secret"),
        ("https://{}.hall.example", "the default is invalid: it contains braces"),
    ],
)
def test_a_default_that_cannot_be_is_refused_at_once(default: Any, told: str) -> None:
    with pytest.raises(TypeError, match=f"^Wrong.base_url: {told}") as caught:

        class Wrong(Hall):
            base_url: str = setting("Where", default=default)

    assert "\n" not in str(caught.value)


def test_what_is_no_setting_of_text_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match=r"^Property\.base_url"):

        class Property(Hall):
            @property  # type: ignore[misc]
            def base_url(self) -> str:
                return "https://hall.example"

    with pytest.raises(TypeError, match=r"^Method\.base_url"):

        class Method(Hall):
            def base_url(self) -> str:  # type: ignore[override, misc]
                return "https://hall.example"

    with pytest.raises(TypeError, match=r"^Optional\.base_url has to be a setting"):

        class Optional(Hall):
            base_url: str | None = setting("Where", default=None)  # type: ignore[assignment]


@pytest.mark.parametrize(
    "url",
    ["https://hall.example:port", "https://hall.example:99999", "https://[::1", "https://u:p@[::1"],
)
def test_a_malformed_host_or_port_is_explained(url: str) -> None:
    with pytest.raises(ConfigError, match=r"base_url: its host or port is invalid") as caught:
        Hall(hall="acme", base_url=url)
    assert url not in str(caught.value)
