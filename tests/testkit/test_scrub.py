"""What the scrubber takes out, and that its own output stays as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guestlist_aitronos import Aitronos
from guestlist_gitlab import GitLab
from guestlist_keycloak import Keycloak
from guestlist_vultr import Vultr
from pytest_guestlist.accounts import stand_in
from pytest_guestlist.scrub import Scrubber

KEY = "invkey_9f86d081884c7d659a2feaa0c55ad015"
ZEROS = "invkey_00000000000000000000000000000001"


@pytest.fixture
def scrubber() -> Scrubber:
    team = Aitronos(
        api_key="ak_realrealreal", organization_id="org_5a1d", base_url="http://127.0.0.1:8031"
    )
    return Scrubber([team], {"me@company.test": "ada@example.com"})


def body(scrubber: Scrubber, data: Any) -> Any:
    content = scrubber.body(json.dumps(data).encode())
    assert scrubber.body(content) == content  # a replay scrubs what was scrubbed already
    assert Scrubber([]).body(content) == content
    return json.loads(content)


@pytest.mark.parametrize(
    ("secret", "blank"),
    [
        (KEY, ZEROS),
        ("0b7c1f86-2a5e-4f4e-9d53-6b1d8d4c2f10", "00000000-0000-0000-0000-000000000001"),
        ("eyJhbGciOi.eyJzdWIiOiI.c2lnbmF0dXJl", "0000000000.00000000000.000000000001"),
        ("abc_def_ghi", "00000000001"),
        ("x-y", "0-0000001"),
    ],
)
def test_a_secret_keeps_its_shape(scrubber: Scrubber, secret: str, blank: str) -> None:
    assert body(scrubber, {"invitation_key": secret}) == {"invitation_key": blank}


def test_a_key_is_replaced_wherever_it_comes_again(scrubber: Scrubber) -> None:
    link = f"https://chat.aitronos.com/user/register?invite={KEY}"

    shown = body(scrubber, [{"invitation_link": link}, {"invitation_key": KEY}, {"text": KEY}])

    assert shown[0]["invitation_link"] == f"https://chat.aitronos.com/user/register?invite={ZEROS}"
    assert shown[1:] == [{"invitation_key": ZEROS}, {"text": ZEROS}]
    assert scrubber.url(f"http://127.0.0.1:8031/v1/invitations/validate/{KEY}") == (
        f"https://api.aitronos.com/v1/invitations/validate/{ZEROS}"
    )


def test_a_number_in_a_setting_is_not_replaced_in_dates() -> None:
    scrubber = Scrubber([GitLab(token="glpat-real", group="44", base_url="https://git.test")])
    date = "Mon, 30 Nov 2026 22:44:21 GMT"
    assert scrubber.response_headers({"date": [date]}) == {"date": [date]}
    group = scrubber.url("https://git.test/groups/44/members?page=44")
    assert group is not None
    assert "/groups/44/" not in group
    assert body(scrubber, {"id": "44", "at": "2026-11-30T22:44:21Z"})["id"] != "44"
    assert body(scrubber, {"at": "2026-11-30T22:44:21Z"}) == {"at": "2026-11-30T22:44:21Z"}


def test_a_short_setting_is_replaced_as_a_word_only() -> None:
    """A realm or tenant may be called like a part of an address."""
    realm = Keycloak(
        base_url="https://keycloak.test",
        realm="acme",
        organization_id="0b6a1d3e-5f0c-4c3b-9d67-2f1e8a7c4d90",
        client_id="guestlist",
        client_secret="s3cret-of-acme",
    )
    scrubber = Scrubber([realm])
    assert scrubber.url("https://keycloak.test/realms/acme/protocol") == (
        "https://keycloak.example.com/realms/REALM/protocol"
    )
    link = "https://keycloak.test/realms/acme/login?key=k3y-of-the-invitation"
    assert body(scrubber, {"inviteLink": link})["inviteLink"].startswith(
        "https://keycloak.example.com/realms/REALM/login?key=0"
    )
    told = {"role": "default-roles-acme", "to": "ada@acme.example", "text": "acmeology"}
    assert body(scrubber, told) == {**told, "role": "default-roles-REALM"}


def test_a_link_may_hold_its_key_in_the_path_or_fragment(scrubber: Scrubber) -> None:
    shown = body(
        scrubber,
        [
            {"invitation_link": "https://app.test/invite/a1b2c3d4e5f6a7b8"},
            {"invitation_link": "https://user:pass@app.test/join#a1b2c3d4e5f6a7b9"},
        ],
    )

    assert [one["invitation_link"] for one in shown] == [
        "https://app.test/invite/0000000000000001",
        "https://app.test/join#0000000000000002",
    ]


def test_secrets_in_lists_and_objects(scrubber: Scrubber) -> None:
    shown = body(
        scrubber,
        {"refresh_token": {"token": "aaaabbbb", "expires_at": "2026"}, "TOKEN": ["ccccdddd", None]},
    )

    assert shown == {
        "refresh_token": {"token": "00000001", "expires_at": "2026"},
        "TOKEN": ["00000002", None],
    }


def test_people_become_nobody(scrubber: Scrubber) -> None:
    shown = body(
        scrubber,
        {
            "invited": "Me@Company.test",
            "by": "Boss <boss@company.test>, boss@company.test",
            "seed": "olga@works.example, ines@example.org",
            "lookalike": "x@example.com.company.test",
        },
    )

    assert shown["invited"] == "ada@example.com"
    assert shown["by"] == "Boss <person-2@example.net>, person-2@example.net"
    assert shown["seed"] == "olga@works.example, ines@example.org"
    assert shown["lookalike"] == "person-3@example.net"


def test_the_account_s_settings_become_their_names(scrubber: Scrubber) -> None:
    url = "http://127.0.0.1:8031/v1/organizations/org_5a1d/invitation?email=me%40company.test&n=1"

    assert scrubber.url(url) == (
        "https://api.aitronos.com/v1/organizations/ORGANIZATION_ID/invitation"
        "?email=ada%40example.com&n=1"
    )
    assert body(scrubber, {"echo": "key ak_realrealreal of org_5a1d"}) == {
        "echo": "key API_KEY of ORGANIZATION_ID"
    }


def test_a_secret_in_a_query(scrubber: Scrubber) -> None:
    assert scrubber.url(f"http://127.0.0.1:8031/v1/accept?email_key={KEY}") == (
        f"https://api.aitronos.com/v1/accept?email_key={ZEROS}"
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:80310/x", "https://example.com/", "http://x"])
def test_other_requests_are_no_account_s_affair(scrubber: Scrubber, url: str) -> None:
    assert scrubber.url(url) is None


def test_headers_that_nobody_asked_for_are_left_out(scrubber: Scrubber) -> None:
    assert scrubber.request_headers(
        {
            "Accept": "application/json",
            "X-API-Key": "ak_realrealreal",
            "Authorization": "Bearer real",
            "Cookie": "session=real",
            "User-Agent": "guestlist/1",
        }
    ) == {"accept": "application/json", "x-api-key": "API_KEY", "authorization": "Bearer TOKEN"}
    assert scrubber.response_headers(
        {"Date": ["now"], "Set-Cookie": ["session=real"], "X-RateLimit-Limit": ["9"], "Via": ["x"]}
    ) == {"date": ["now"], "x-ratelimit-limit": ["9"]}


@pytest.mark.parametrize(
    "name",
    [
        "Content-Type",
        "Retry-After",
        "X-Retry-After",
        "RateLimit-Reset",
        "X-Rate-Limit-Remaining",
        "X-Total",
        "X-Total-Count",
        "X-Page",
        "X-Per-Page",
        "X-Next-Page",
        "X-Pagination-Page-Count",
        "Content-Range",
    ],
)
def test_headers_that_a_provider_may_read_are_kept(scrubber: Scrubber, name: str) -> None:
    assert scrubber.response_headers({name: ["7"]}) == {name.lower(): ["7"]}


@pytest.mark.parametrize("name", ["Server", "Age", "ETag", "X-Powered-By", "X-Frame-Options"])
def test_headers_that_say_nothing_are_left_out(scrubber: Scrubber, name: str) -> None:
    assert scrubber.response_headers({name: ["7"]}) == {}


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (
            "http://127.0.0.1:8031/v1/list?email=me%40company.test&cursor=2",
            "https://api.aitronos.com/v1/list?email=ada%40example.com&cursor=2",
        ),
        (
            f"/v1/list?token={KEY}&id=org_5a1d&cursor=2",
            f"/v1/list?token={ZEROS}&id=ORGANIZATION_ID&cursor=2",
        ),
        (
            f"https://app.test/join/{KEY}?page=2&x={KEY}",
            f"https://app.test/join/{ZEROS}?page=2&x={ZEROS}",
        ),
    ],
)
def test_where_headers_lead_is_scrubbed(scrubber: Scrubber, told: str, kept: str) -> None:
    headers = {"Link": [f'<{told}>; rel="next", </>; rel="first"'], "Location": [told]}
    shown = {"link": [f'<{kept}>; rel="next", </>; rel="first"'], "location": [kept]}

    assert scrubber.response_headers(headers) == shown
    assert scrubber.response_headers(shown) == shown  # a replay scrubs what was scrubbed already


def test_what_is_no_json_is_scrubbed_as_text(scrubber: Scrubber) -> None:
    assert scrubber.body(b"<p>boss@company.test</p>\xff") == "<p>person-2@example.net</p>�".encode()


def test_a_stand_in_asks_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VULTR_API_KEY", "VULTR_ORGANIZATION_ID", "FREDDY_JWT_TOKEN"):
        monkeypatch.setenv(name, "real")

    assert stand_in(Vultr) == Vultr(
        api_key="API_KEY", organization_id=None, base_url="https://api.vultr.com"
    )
    assert stand_in(Aitronos).authorize() == {
        "X-API-Key": "API_KEY",
        "Authorization": "Bearer TOKEN",
    }
