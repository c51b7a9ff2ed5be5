"""Rules about what is sent: effects, identifiers, origin, secrets."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from itertools import product
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from pydantic import BaseModel, SecretStr

from guestlist.errors import GuestlistError
from guestlist.exchange.headers import iter_secret_parts
from guestlist.exchange.redact import COMMON_FIELDS
from guestlist.exchange.step import Outgoing
from guestlist.models import Invitation, Member, Role
from guestlist.provider import Effect, Page, Request, Response
from pytest_guestlist.checking import READING
from pytest_guestlist.conformance import mutations
from pytest_guestlist.conformance.base import ProviderRules, one_of_each_effect, samples_of
from pytest_guestlist.conformance.finding import location_of, report_finding
from pytest_guestlist.conformance.harness import Harness
from pytest_guestlist.conformance.walkthrough import Sample, Walkthrough, run_walkthrough
from pytest_guestlist.conformance.wires import Answer, ScriptedWire

HOSTILE = (
    "a/b",
    "a?b=c",
    "a#b",
    "a%2Fb",
    "..%2f..",
    "a b",
    "a\nb",
    "a&b=c",
    "ünï",
    "a;b",
    "a\\b",
    "../../v9/keys",
)
"""Identifiers that would lead elsewhere if they were pasted into a path."""

SECRET_NAME = re.compile(
    r"(?i:secret|password|token|_key|apikey|_link|_url)$|[a-z0-9](Key|Link|Url|URL)$"
)
"""Names of fields that look as if they held a secret."""

LONG_ENOUGH = 16
"""Characters that a secret has at least; shorter values of such fields are names."""


class SendingRules(ProviderRules):
    """Rules about the requests of a provider: effects, identifiers, origin, secrets."""

    def test_every_request_is_yielded(self, walkthrough: Walkthrough) -> None:
        """A request that is built is yielded, and a flow that is started is run.

        Likely cause: A `yield` or `yield from` is missing.
        """
        if walkthrough.complaints:
            report_finding(
                expected="no warning",
                got="; ".join(sorted(set(walkthrough.complaints))),
                look_at="the operations named; is a `yield` or `yield from` missing?",
            )

    def test_own_operations_are_tried(self, walkthrough: Walkthrough, own: str) -> None:
        """The walkthrough runs the operations outside the contract, in `extra_operations`.

        Likely cause: `extra_operations` of the suite does not call the operation.
        """
        if (
            not any(sample.name == own for sample in walkthrough.samples.values())
            and not walkthrough.skipped
        ):
            kind = self.provider_class()
            wanted = f"runner.run({own!r}, ...) in `extra_operations` of {type(self).__name__}"
            report_finding(expected=wanted, got="it is never run", look_at=location_of(kind, own))

    def test_requests_are_well_formed(self, walkthrough: Walkthrough, operation: str) -> None:
        """A flow yields `Request`s: an upper-case method, a path in segments, a query of plain
        values, a body that is JSON.

        Likely cause: A path was passed as one text, such as "members/7", instead of one argument
        for each segment.
        """
        for sample in samples_of(walkthrough, operation):
            for request in sample.requests:
                good = (
                    isinstance(request, Request)
                    and request.method in ("GET", "POST", "PUT", "PATCH", "DELETE")
                    and bool(request.path)
                    and not any("/" in str(segment) for segment in request.path[:1])
                )
                if not good:
                    _missent(sample, request, "a well-formed request", repr(request))
                json.dumps(request.json)

    def test_looks_are_reads(self, walkthrough: Walkthrough, reading: str) -> None:
        """An operation that only reads sends only requests of `Effect.READ`, even if they are
        POSTs: other requests are not always repeated if no answer comes.

        Likely cause: A POST that only looks is not marked with `effect=Effect.READ`.
        """
        for sample in samples_of(walkthrough, reading):
            for request in sample.requests:
                if request.effect is not Effect.READ:
                    _missent(sample, request, "Effect.READ", request.effect)

    def test_changes_are_no_reads(self, walkthrough: Walkthrough, changing: str) -> None:
        """An operation that changes something says so with the effect of one of its requests.

        Likely cause: A request that changes something is marked with `Effect.READ`, or is a GET.
        """
        for sample in samples_of(walkthrough, changing):
            if all(request.effect is Effect.READ for request in sample.requests):
                _missent(
                    sample,
                    sample.requests[-1] if sample.requests else "no request",
                    "Effect.CREATE, Effect.PREPARE or Effect.REPEATABLE",
                    "reads only",
                )

    def test_what_may_be_repeated_is_the_same_twice(
        self, walkthrough: Walkthrough, second_harness: Harness
    ) -> None:
        """A request that is not marked CREATE can be sent twice with the result of once: the same
        emails, the same invitations. A request that makes a second email is `Effect.CREATE`.

        Likely cause: A request that sends an email or creates a record each time is marked
        REPEATABLE, or is a PUT or DELETE, which are REPEATABLE by default. Mark it with
        `Effect.CREATE`.
        """
        harness = second_harness
        doubled: list[Request] = []

        def again(outgoing: Outgoing, answer: Answer) -> Answer:
            request = harness.spy.requests[-1][0]
            if request.effect is not Effect.CREATE:
                doubled.append(request)
                harness.wire.wire.send(outgoing)
            return answer

        harness.wire.after = again
        twice = run_walkthrough(harness, self.extra_operations)
        for name, emails in walkthrough.emails.items():
            if emails >= 0 and twice.emails[name] != emails:
                report_finding(
                    expected=f"{emails} emails",
                    got=f"{twice.emails[name]} emails",
                    look_at="the effects of: "
                    + ", ".join(
                        sorted({str(one) for one in doubled if one.effect is not Effect.READ})
                        or sorted({str(one) for one in doubled if one.method == "POST"})
                    ),
                )
        for name, sample in walkthrough.samples.items():
            if sample.name in READING and isinstance(sample.value, Page):
                count = len(sample.value.items)
                got = len(twice.samples[name].value.items)
                if got != count:
                    report_finding(
                        expected=f"{count} {name}",
                        got=f"{got} {name}",
                        look_at="the effects of the requests",
                    )

    # ------------------------------------------------------------------ identifiers

    def test_identifiers_stay_in_their_segment(
        self, walkthrough: Walkthrough, operation: str
    ) -> None:
        """An identifier is one segment of the path, one value of the query or one text of the body,
        even if it contains special characters: it never leads to another path.

        Likely cause: An id is pasted into a path or query as text, or cut at a character. Pass it
        as an argument of its own.
        """
        for sample, hostile in product(samples_of(walkthrough, operation), HOSTILE):
            changed = tuple(_with_ids(one, hostile) for one in sample.arguments)
            if changed == sample.arguments:
                continue
            lengths = [(request.method, len(request.path)) for request in sample.requests]
            replay = sample.replay(arguments=changed, wire=ScriptedWire(Response(404)))
            for (request, outgoing), (method, length) in zip(
                replay.requests, lengths, strict=False
            ):
                parts = urlsplit(outgoing.url)
                base = urlsplit(sample.provider.base_url).path
                below = parts.path.removeprefix(base)
                if sample.provider.trailing_slash:
                    below = below.removesuffix("/")
                path = [unquote(one) for one in below.split("/")[1:]]
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                values = [*path, *query.values(), *_texts((outgoing.content or b"").decode())]
                if request.method == method and len(path) != length:
                    _missent(sample, request, f"{length} segments", outgoing.url)
                if _has(hostile, request) and not any(hostile in one for one in values):
                    _missent(sample, request, f"{hostile!r} in one piece", outgoing.url)
            if not isinstance(replay.error, GuestlistError | None):
                _missent(sample, sample.name, "one of guestlist's errors", replay.summary)

    # ------------------------------------------------------------------ origin

    def test_requests_stay_on_the_account_origin(self, walkthrough: Walkthrough) -> None:
        """Every request goes to the account's own `base_url`.

        Likely cause: The request names another host; only a setting made with `url=True` and
        `origin` may.
        """
        for sample in walkthrough.samples.values():
            for outgoing, _ in sample.played:
                if not outgoing.url.startswith(sample.provider.base_url + "/"):
                    _missent(sample, outgoing.method, sample.provider.base_url, outgoing.url)

    def test_links_in_answers_are_not_followed(
        self, walkthrough: Walkthrough, operation: str
    ) -> None:
        """A URL in an answer, such as that of the next page, never takes a request elsewhere.

        Likely cause: The URL of the next page is used as it is. Take only its cursor; `by_link`
        does.
        """
        far = "https://elsewhere.example/steal?cursor=x"

        def lure(value: Any) -> Any:
            return far if isinstance(value, str) and "://" in value else value

        for sample in samples_of(walkthrough, operation):
            for nth, (_, answer) in enumerate(sample.played):
                if b"://" not in answer.content:
                    continue
                replay = sample.replay(nth, mutations.change_json(mutations.map_scalars(lure)))
                for _, outgoing in replay.requests:
                    if urlsplit(outgoing.url).netloc != urlsplit(sample.provider.base_url).netloc:
                        _missent(sample, outgoing.method, "the account's origin", outgoing.url)

    def test_credentials_are_sent_in_headers_only(self, walkthrough: Walkthrough) -> None:
        """Credentials are in headers, never in a URL or body; a public request has none. Only
        `fetch_token` may send them in the body.

        Likely cause: A key is put into a query or body, `authorize` lacks it, or a request is
        marked `public` by mistake.
        """
        for sample in walkthrough.samples.values():
            fetches = sample.name == "fetch_token"  # in the body, as OAuth 2.0 does
            credentials = sample.provider.authorize()
            names = {*credentials, *(["Authorization"] if sample.tokens else [])}
            secrets = (*sample.provider.secrets(), *iter_secret_parts(credentials))
            replay = sample.replay()
            for request, outgoing in replay.requests:
                sent = outgoing.url + ("" if fetches else (outgoing.content or b"").decode())
                headers = "".join(outgoing.headers.values())
                if any(secret in unquote(sent) for secret in secrets):
                    _missent(sample, request, "credentials in headers", "in the URL or body")
                if request.public and any(secret in headers for secret in secrets):
                    _missent(sample, request, "no credentials", "credentials")
                if not request.public and not names <= outgoing.headers.keys():
                    _missent(sample, request, "the account's credentials", "none")

    # ------------------------------------------------------------------ secrets

    def test_secrets_of_answers_are_masked(self, walkthrough: Walkthrough) -> None:
        """Links and keys show neither in `repr` nor in JSON of what is returned.

        Likely cause: A link or key is put into a field that is shown, or the name of its field is
        not in `secret_fields`.
        """
        for sample in walkthrough.samples.values():
            hidden = set(_secrets(sample))
            for one in _values(sample.value):
                shown = repr(one) + str(one)
                if isinstance(one, BaseModel):
                    shown += one.model_dump_json() + str(one.model_dump())
                if any(secret in shown for secret in hidden):
                    sample.report_finding(
                        expected="asterisks",
                        got=f"a secret in the {type(one).__name__} of {sample.name}",
                    )

    def test_fields_that_hold_secrets_are_declared(self, walkthrough: Walkthrough) -> None:
        """A field of an answer that is named like a secret and holds something long is in
        `secret_fields`, so that it is masked in errors, logs and cassettes.

        Likely cause: The name of the field is missing in `secret_fields`.
        """
        for sample in walkthrough.samples.values():
            declared = COMMON_FIELDS | sample.provider.secret_fields | self.public_fields
            for _, answer in sample.played:
                for path, value in mutations.nodes(mutations.json_of(answer)):
                    name = str(path[-1])
                    if (
                        SECRET_NAME.search(name)
                        and isinstance(value, str)
                        and len(value) >= LONG_ENOUGH
                        and name.lower() not in {one.lower() for one in declared}
                    ):
                        report_finding(
                            expected=f"{name!r} in secret_fields",
                            got=f"{sorted(sample.provider.secret_fields)}",
                            look_at=f"{type(sample.provider).__name__}.secret_fields",
                        )

    def test_links_and_keys_are_secret(self, walkthrough: Walkthrough) -> None:
        """An invitation's link and key are `SecretStr`, and what they hold is declared.

        Likely cause: The value is passed as a plain text: wrap it in `SecretStr`.
        """
        for sample in walkthrough.samples.values():
            for one in _values(sample.value):
                if isinstance(one, Invitation):
                    for value in (one.link, one.key):
                        if value is not None and not isinstance(value, SecretStr):
                            sample.report_finding(expected="SecretStr", got=type(value).__name__)

    def test_secrets_are_masked_in_errors(
        self, walkthrough: Walkthrough, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Even if a service repeats a secret of the account, the secret is in no error, event or
        log; nor does a link or key of an invitation.

        Likely cause: `explain` builds its text from the raw body, or a field is missing in
        `secret_fields`.
        """
        for sample in one_of_each_effect(walkthrough):
            account = (*sample.provider.secrets(), *iter_secret_parts(sample.provider.authorize()))
            fields = {name: f"S3CRET-{name}-VALUE" for name in sample.provider.secret_fields}
            echoed = f"bad credentials {' '.join(account)} sent"
            assigned = " ".join(f'"{name}": "{value}"' for name, value in fields.items())
            body = {"error": {"message": f"{echoed} {assigned}", "code": "BAD"}}
            events: list[Any] = []
            text = ""
            for status in (400, 401, 403, 404, 409, 422, 429, 500):
                with caplog.at_level(logging.DEBUG, logger="guestlist"):
                    replay = sample.replay(
                        0, mutations.respond_with(status, body), watch=events.append
                    )
                error = replay.error
                text += f"{error} {error!r} {getattr(error, 'to_dict', dict)()}"
            text += caplog.text + " ".join(map(str, events))
            for secret in (*account, *fields.values()):
                if secret in text:
                    report_finding(
                        expected="asterisks",
                        got="a secret in an error, an event or the log",
                        look_at=f"{location_of(sample.provider, 'explain')}, its `secret_fields`",
                    )

    def test_secrets_are_masked_in_events(self, walkthrough: Walkthrough) -> None:
        """No event of a whole walkthrough contains a secret.

        Likely cause: A secret is a plain text in the path of a request: pass it as `SecretStr`.
        """
        hidden: set[str] = set()
        for sample in walkthrough.samples.values():
            hidden |= {*sample.provider.secrets(), *_secrets(sample)}
        text = " ".join(repr(event) + str(event) for event in walkthrough.events)
        if not walkthrough.events or any(secret in text for secret in hidden):
            report_finding(
                expected="asterisks",
                got="a secret in an event",
                look_at="a secret in a path has to be a SecretStr",
            )


def _missent(sample: Sample, request: object, expected: object, got: object) -> NoReturn:
    sample.report_finding(
        rule=f"{request}, sent by {sample.name}, is what the contract asks for",
        expected=expected,
        got=got,
    )


def _with_ids(value: Any, id: str) -> Any:
    if isinstance(value, Invitation):
        return value.model_copy(
            update={"id": id, "user_id": id if value.user_id is not None else None}
        )
    if isinstance(value, Member):
        return value.model_copy(
            update={"id": id, "user_id": id if value.user_id is not None else None}
        )
    if isinstance(value, Role):
        return value.model_copy(update={"id": id})
    return id if isinstance(value, str) and "@" not in value else value


def _has(text: str, request: Request) -> bool:
    """Whether a request was meant to carry a text, in pieces or whole."""
    pieces = [piece for piece in re.split(r"[^\w.]+", text) if len(piece) > 3]
    return any(piece in str(request) for piece in pieces)


def _texts(body: str) -> Iterator[str]:
    for _, value in mutations.scalars(json.loads(body)) if body else ():
        yield str(value)


def _values(value: Any) -> list[Any]:
    if isinstance(value, Page):
        return list(value.items)
    return list(value) if isinstance(value, tuple) else [value]


def _secrets(sample: Sample) -> Iterator[str]:
    """Every secret that an answer holds: by the name of its field, or as a link or key."""
    declared = {one.lower() for one in COMMON_FIELDS | sample.provider.secret_fields}
    for _, answer in sample.played:
        for path, value in mutations.nodes(mutations.json_of(answer)):
            if str(path[-1]).lower() in declared and isinstance(value, str) and value:
                yield value
    for one in _values(sample.value):
        for secret in (getattr(one, "link", None), getattr(one, "key", None)):
            if secret is not None and hasattr(secret, "get_secret_value"):
                yield secret.get_secret_value()
