"""The files themselves: nothing in them is secret, and recording again gives the same bytes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from guestlist_aitronos import sandbox as aitronos
from guestlist_vultr import sandbox as vultr
from pytest_guestlist.cassettes import unversioned

ROOT = Path(__file__).parents[2]
CASSETTES = ROOT / "cassettes"
FILES = sorted(
    path
    for folder in (CASSETTES, *ROOT.glob("examples/**/cassettes"))
    for path in folder.rglob("*")
    if path.is_file()
)

DATA = (".yaml", ".json")
"""What has fields; the rest are texts for people."""

SECRETS = {
    value
    for seed in (aitronos, vultr)
    for name, value in vars(seed).items()
    if name.endswith("_KEY") or name == "ORGANIZATION"
}

FORBIDDEN = [
    r"invkey_(?!0{28}\d{4}\b)\w+",
    r"(?i)bearer (?!(API_KEY|TOKEN)$)\S+",
    r"\bak_\w+",
    r"VULTR-SANDBOX",
    r"\beyJ\w+",  # how a JSON web token begins
    r"127\.0\.0\.1|localhost",
    r"[?&](?:invite|key|token)=(?!invkey_0{28}\d{4}\b|[0.-]{16})",
    *map(re.escape, sorted(SECRETS)),
]

ADDRESS = re.compile(r"(?<![\w.+-])[\w.+-]+(?:@|%40)([\w.-]*\w)")  # tried once for each word
NOBODYS = re.compile(r"(?:[\w-]+\.)*example(?:\.(?:com|net|org))?", re.IGNORECASE)

BLANK = re.compile(r"(?:[a-z]+_)?[0.-]{4,}\d{4}")
SECRET_FIELDS = ("api_key", "invitation_key", "invitation_link", "refresh_token", "token")


def leaks(text: str, kind: str = ".yaml") -> list[str]:
    found = [hit[0] for pattern in FORBIDDEN for hit in re.finditer(pattern, text, re.MULTILINE)]
    found += [hit[0] for hit in ADDRESS.finditer(text) if not NOBODYS.fullmatch(hit[1])]
    for field, value in fields(yaml.load(text, yaml.CSafeLoader) if kind in DATA else None):
        shown = re.sub(r"^https://[\w./]+\?invite=", "", value)
        if field in SECRET_FIELDS and shown != "API_KEY" and not BLANK.fullmatch(shown):
            found.append(f"{field}: {value}")
    return found


def fields(data: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """All texts with the name of their field, through the JSON of bodies."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from fields(value, key)
    elif isinstance(data, list):
        for value in data:
            yield from fields(value, name)
    elif isinstance(data, str):
        yield name, data
        if data.startswith(("{", "[")):
            yield from fields(json.loads(data))


def test_the_cassettes_are_found() -> None:
    assert len(FILES) > 30


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_secret_is_in_a_cassette(path: Path) -> None:
    text = path.read_text("utf-8")

    assert leaks(text, path.suffix) == []
    assert text.startswith("# Recorded against ") or path.suffix != ".yaml"


@pytest.mark.parametrize(
    "planted",
    [
        *sorted(SECRETS),
        "- Bearer something",
        "Bearer API_KEY-and-more",
        "https://chat.aitronos.com/user/register?invite=0123456789abcdef",
        "invkey_0000000000000000000000000000000a",
        "someone@company.com",
        "someone@example.com.evil.test",
        "eyJhbGciOi",
        "http://127.0.0.1:8031/v2/users",
        '{"token": "abc"}',
        '{"refresh_token": {"token": "0000-12345"}}',
        '{"users": [{"api_key": "K"}]}',
        '{"invitation_link": "https://example.com/join/me"}',
    ],
)
def test_the_search_finds_what_must_not_be_there(planted: str) -> None:
    assert leaks(yaml.safe_dump({"text": planted}, width=1000))


@pytest.mark.proof
def test_recording_again_gives_the_same_bytes(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--guestlist-record", "-k", "not async"),
            *("tests/cassettes/test_aitronos.py", "tests/cassettes/test_vultr.py"),
        ],
        cwd=ROOT,
        env={**os.environ, "CASSETTES": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    recorded = contents(tmp_path)
    kept = contents(CASSETTES)
    assert recorded.keys() == kept.keys()
    stale = [
        str(path)
        for path in sorted(kept)
        if kept[path] != recorded[path] and "sandbox" in kept[path].splitlines()[0]
    ]
    assert stale == [], "what is sent or answered has changed: look at it, and record again"


def contents(folder: Path) -> dict[Path, str]:
    """The files of the scenarios beside this test, without versions."""
    paths = [path for name in ("aitronos", "vultr") for path in folder.glob(f"{name}/*.yaml")]
    return {path.relative_to(folder): unversioned(path.read_text("utf-8")) for path in paths}
