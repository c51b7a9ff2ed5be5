"""The account's secret, echoed anywhere in an answer, shows nowhere."""

from __future__ import annotations

import json
import logging
import random
import traceback
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from tests.hostile.answers import (
    Case,
    account_of,
    carry_out,
    places,
    providers,
    recorded_of,
    repeated,
    with_secret,
)
from tests.pacing.traffic import SimulatedTime

from guestlist.event import Event
from guestlist.exchange.account import Call
from guestlist.exchange.policy import run
from guestlist.exchange.redact import Redactor
from guestlist.models import Invitation, State
from guestlist.provider import Response

SECRETS = ["sk-Zq9hunter2abcdef", "sk-Zq9/x+Y=7hunter2", "sk\"q\\hunter2'x"]
FORMS = [
    "{}",
    "your key {} is not good",
    "A" * 490 + " {}",
    "A" * 490 + "{}",
    "x " * 240 + "{} {}",
    "Bearer {}",
    '{{"api_key": "{}"}}',
]


few = settings(max_examples=settings().max_examples // 5)


def echoed(response: Response, secret: str, source: random.Random) -> Response:
    """The answer with the secret in some of its places, or an error that is full of it."""
    said = source.choice(FORMS).format(secret, secret)
    kind = source.randrange(6)
    content = json.dumps({"error": {"message": said, "code": secret, "detail": said}}).encode()
    if kind == 0:
        content = said.encode()
    elif kind == 1:
        content = json.dumps({"detail": [{"loc": [secret, 1], "msg": said}]}).encode()
    elif kind > 2 and response.content:
        tree = json.loads(response.content)
        found = list(places(tree))
        for parent, key in source.sample(found, min(len(found), source.choice([1, 2, 20]))):
            if isinstance(parent, list) or key in parent:
                parent[key] = source.choice([said, [said], {"message": said}, {secret: said}])
        content = json.dumps(tree).encode()
    names = ("x-request-id", "content-type", "retry-after", "date", "location", "ratelimit-reset")
    headers = {name: secret for name in names if source.random() < 0.5}
    statuses = [200, 200, 201, 302, 400, 401, 404, 409, 422, 429, 500]
    return Response(source.choice(statuses), headers, content)


@pytest.mark.parametrize("name", providers())
@few
@given(seed=st.integers(0, 2**32), secret=st.sampled_from(SECRETS))
def test_an_echoed_secret_shows_nowhere(name: str, seed: int, secret: str) -> None:
    source = random.Random(seed)
    for case in recorded_of(name):
        note(f"operation: {case}")
        check_that_it_shows_nowhere(case, source, secret)


def check_that_it_shows_nowhere(case: Case, source: random.Random, secret: str) -> None:
    """Runs an operation on answers with the secret in them, and looks at all that can be seen."""
    events, time = list[Event](), SimulatedTime()
    account = account_of(with_secret(case.provider, secret), time, watch=events.append)
    account.random = source
    records: list[logging.LogRecord] = []
    logger = logging.getLogger("guestlist.account")
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign, assignment]
    level = logger.level
    logger.setLevel(1)
    logger.addHandler(handler)
    answers = repeated([echoed(one, secret, source) for one in case.recorded])
    shown: list[str] = []
    try:
        own = replace(case, provider=account.provider)
        carry_out(time, run(Call(account, email="ada@example.com"), own.flow()), answers)
    except Exception as error:
        shown += [str(error), repr(error), repr(error.args), *traceback.format_exception(error)]
        shown += [repr(vars(error)), json.dumps(getattr(error, "to_dict", dict)())]
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    shown += map(repr, events)
    shown += map(str, events)
    shown += (record.getMessage() for record in records)
    assert records
    for text in shown:
        for spelling in (secret, secret[:12], repr(secret)[1:-1], json.dumps(secret)[1:-1]):
            assert spelling not in text


@given(st.text(max_size=30), st.sampled_from(SECRETS), st.text(max_size=30))
def test_redacting_twice_changes_nothing(before: str, secret: str, after: str) -> None:
    redact = Redactor([secret], ["invite"])
    once = redact(f"{before}{secret}{after}")
    assert secret not in once
    assert redact(once) == once


def test_what_cannot_be_masked_is_left_out_of_the_traceback() -> None:
    class Stubborn(Exception):
        def __str__(self) -> str:
            return "it was hunter2-hunter2"

    error = ValueError("outer")
    error.__cause__ = Stubborn()
    Redactor(["hunter2-hunter2"]).mask_behind(error)
    assert "hunter2" not in "".join(traceback.format_exception(error))


def test_values_keep_links_and_answers_to_themselves() -> None:
    link: Any = "https://app.example/?invite=hunter2"
    one = Invitation(
        id="i", email="a@example.com", state=State.PENDING, link=link, raw={"link": link}
    )
    for text in (repr(one), str(one), one.model_dump_json(), str(one.model_dump())):
        assert "hunter2" not in text
