"""What is accepted as an address, and which two addresses are the same person."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from guestlist.address import LONGEST, check_email, domain_key, email_key, read_email
from guestlist.errors import InvalidArgument

SAME = [
    ("Ada@Example.COM", "ada@example.com"),
    ("  ada@example.com\n", "ada@example.com"),
    ("ada@bücher.example", "ada@xn--bcher-kva.example"),
    ("ada@BÜCHER.example", "ADA@xn--bcher-kva.EXAMPLE"),
    ("jose\u0301@example.com", "jos\u00e9@example.com"),  # decomposed and composed
    ("JOSE\u0301@example.com", "jos\u00e9@example.com"),
    ("ada@straße.example", "ada@xn--strae-oqa.example"),
]
DIFFERENT = [
    ("ada+news@example.com", "ada@example.com"),
    ("a.da@example.com", "ada@example.com"),
    ("ada@example.com", "ada@example.org"),
    ("ada@sub.example.com", "ada@example.com"),
    ("ada", "ada@example.com"),
]
GOOD = [
    "ada@example.com",
    "ada+news@example.com",
    "a@b.co",
    "o'neil@example.com",
    "jos\u00e9@bücher.example",
    "1@2.example",
    "a/b@example.com",
    "user%host@example.com",
    "x" * 64 + "@example.com",
    f"a@{'b' * 63}.example",
]
BAD = {
    "": "needs a name",
    "ada": "needs a name",
    "@example.com": "needs a name",
    "ada@": "needs a name",
    "ada@example": "is not a domain",
    "ada@.com": "is not a domain",
    "ada@example..com": "is not a domain",
    "ada@example.com.": "is not a domain",
    "ada@-example.com": "is not a domain",
    "ada@exa_mple.com": "is not a domain",
    "ada@[127.0.0.1]": "is not a domain",
    f"ada@{'b' * 64}.example": "is not a domain",
    "ada@xn\u2020.example": "is not a domain",
    "ada lovelace@example.com": "space",
    "ada@exam ple.com": "space",
    "ada\u00a0l@example.com": "space",
    "ada@@example.com": "is not allowed there",
    "<ada@example.com>": "is not allowed there",
    "ada@example.com,bob@example.com": "is not allowed there",
    "ada;bob@example.com": "is not allowed there",
    '"ada"@example.com': "is not allowed there",
    ".ada@example.com": "with a dot, or has two in a row",
    "ada.@example.com": "with a dot, or has two in a row",
    "a..da@example.com": "with a dot, or has two in a row",
    "ada\r\nBcc: eve@example.com": "control character",
    "ada\x00@example.com": "control character",
    "ada\u200b@example.com": "control character",  # no width, not visible
    "ada\u202e@example.com": "control character",  # turns the direction of writing
    "ada\ud800@example.com": "control character",
    "a\ufffdda@example.com": "a character was lost",  # stands for what could not be decoded
    "x" * LONGEST + "@example.com": "longer than 254",
    "ada@" + "ü" * 100_000 + ".example": "longer than 254",
    f"{'y' * 65}@example.com": "longer than 64",
    "\u00e9" * 33 + "@example.com": "longer than 64",
    f"{'a' * 60}@{'ü.' * 28}example": "when its domain is encoded",
}


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_person(one: str, other: str) -> None:
    assert email_key(one) == email_key(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_people(one: str, other: str) -> None:
    assert email_key(one) != email_key(other)


@pytest.mark.parametrize("typed", GOOD)
def test_an_address_is_kept_as_typed(typed: str) -> None:
    assert check_email(f" {typed}\t") == typed


@pytest.mark.parametrize(("typed", "why"), BAD.items(), ids=[repr(bad)[:40] for bad in BAD])
def test_an_invalid_address_raises_an_error(typed: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why) as caught:
        check_email(typed)
    told = str(caught.value)
    assert "\n" not in told
    assert "name@example.com" in told


@given(st.text())
def test_a_key_never_fails_and_is_its_own_key(text: str) -> None:
    key = email_key(text)
    assert email_key(key) == key
    assert email_key(f" {text} ") == key


def accepted(text: str) -> str | None:
    """The address as it is kept; None when it was refused."""
    try:
        return check_email(text)
    except InvalidArgument:
        return None


@given(st.emails())
def test_real_addresses_are_accepted_as_typed(email: str) -> None:
    # Hypothesis also makes addresses that RFC 5321 allows and nobody has: they may be refused.
    assert accepted(email) in (email, None)
    assert email_key(email) == email_key(email.upper())


@given(st.text() | st.text().map("ada@{}".format) | st.text().map("{}@example.com".format))
def test_any_address_is_kept_as_typed_or_rejected(text: str) -> None:
    typed = accepted(text)
    if typed is not None:
        assert typed == text.strip()
        local, _, domain = typed.rpartition("@")
        assert local
        assert domain_key(domain).isascii()


def read(text: str) -> tuple[str, str] | None:
    """The address as it is kept and its key; None when it was refused."""
    try:
        return read_email(text)
    except InvalidArgument:
        return None


PARTS = st.text("abYZ09.-_+'!@,\u212a\u017fé\n ", max_size=6) | st.sampled_from(
    ["x" * 63, "y" * 64]
)


@given(
    st.text()
    | st.emails()
    | st.sampled_from([*GOOD, *BAD])
    | st.lists(PARTS, min_size=1, max_size=5).map(".".join).map("ada@{}".format)
    | st.builds("{}@{}.example".format, PARTS, PARTS)
)
@example("ada@example.com")
@example("ada@bücher.example")
def test_many_are_read_as_each_is_checked_and_compared(text: str) -> None:
    typed = accepted(text)
    assert read(text) == (None if typed is None else (typed, email_key(text)))


def test_domains_have_a_key_of_their_own() -> None:
    assert domain_key(" BÜCHER.example ") == domain_key("xn--bcher-kva.example")
    assert domain_key("nonsense!") == "nonsense!"
