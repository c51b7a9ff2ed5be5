"""URLs are taken apart as the HTTP library does it, only faster."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestlist.exchange.urls import Urls

LIBRARIES = {"httpx": httpx.URL, "httpx2": httpx2.URL}
ORIGINS = ["https://api.acme.example", "http://127.0.0.1:8080", "https://bücher.example/api"]
WHATEVER = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def facts(url: Any) -> tuple[Any, ...]:
    """All that a transport, a log or a hook reads of a URL."""
    return str(url), url.raw_scheme, url.raw_host, url.port, url.raw_path, url.path, url.query, url


@pytest.mark.parametrize("library", LIBRARIES)
@given(
    origin=st.sampled_from(ORIGINS),
    segments=st.lists(WHATEVER, max_size=4),
    query=st.dictionaries(WHATEVER, WHATEVER, max_size=3),
    quoted=st.booleans(),
)
def test_every_url_is_what_the_library_makes_of_it(
    library: str, origin: str, segments: list[str], query: dict[str, str], quoted: bool
) -> None:
    spell = (lambda text: quote(text, safe="")) if quoted else str
    path = "/".join(map(spell, segments))
    asked = "&".join(f"{spell(name)}={spell(value)}" for name, value in query.items())
    url = f"{origin}/{path}" + (f"?{asked}" if asked else "")
    try:
        expected = LIBRARIES[library](url)
    except Exception as error:
        with pytest.raises(type(error)):
            Urls(LIBRARIES[library]).of(url)
        return
    urls = Urls(LIBRARIES[library])
    urls.of(f"{origin}/v1/invites?email=ada%40example.com")
    assert facts(urls.of(url)) == facts(expected)


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_origin_is_taken_apart_once(library: str) -> None:
    parsed: list[str] = []

    def parse(url: str) -> Any:
        parsed.append(url)
        return LIBRARIES[library](url)

    urls = Urls(parse)
    for number in range(100):
        urls.of(f"https://api.acme.example/v1/invites?email=ada-{number}%40example.com")
    assert len(parsed) == 2


def test_a_library_that_makes_its_urls_otherwise_is_asked_each_time() -> None:
    class Other(httpx.URL):
        def __init__(self, url: str) -> None:
            super().__init__(url)
            self.length = len(url)

    urls = Urls(Other)
    made = [urls.of(f"https://api.acme.example/v1/{'x' * number}") for number in range(3)]
    assert [url.length for url in made] == [28, 29, 30]
