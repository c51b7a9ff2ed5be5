"""Rules about wrong, incomplete and unusual answers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from guestlist.address import email_key
from guestlist.errors import GuestlistError, MalformedResponse, OutcomeUnknown
from guestlist.exchange.policy import may_refuse
from guestlist.exchange.step import SendFailure
from guestlist.models import Invitation, Member, Role, State
from guestlist.provider import Effect, Page
from pytest_guestlist.conformance import mutations
from pytest_guestlist.conformance.base import ProviderRules, one_of_each_effect, samples_of
from pytest_guestlist.conformance.finding import location_of, report_finding
from pytest_guestlist.conformance.walkthrough import Replay, Sample, Walkthrough
from pytest_guestlist.conformance.wires import UnrecordedRequest

WRONG_VALUES: tuple[Any, ...] = (None, {"x": 1}, 7, "", True, [], {}, ["x"], "\x00")
"""Wrong values of a field. If the first two change nothing, the field is not read."""

NOT_WORDS: tuple[Any, ...] = (None, 0, [], {})
"""Wrong values for a state that should be a word."""

STATUS_NAME = re.compile(r"(?i)(?:invit\w*?_?)?(?:status|state)(?:_full)?")
"""Names of fields that contain the state of an invitation."""

MOMENT_NAME: dict[type, re.Pattern[str]] = {
    Invitation: re.compile(
        r"(?i).*expir.*|(?:date_?)?(?:created|invited|sent)(?:_?(?:at|on|date))?"
    ),
    Member: re.compile(r"(?i).*(?:joined|member_?since).*"),
}
"""Names of fields with dates of invitations and members for which guestlist has a field."""

SECOND = timedelta(seconds=1)

UNKNOWN_WORD = "zugzwang"
"""A word that no service has for anything."""


class AnswerRules(ProviderRules):
    """Answers that are not JSON, truncated, of another shape, or with unknown words."""

    def test_unreadable_answer(self, walkthrough: Walkthrough, operation: str) -> None:
        """An answer that is not JSON raises MalformedResponse, unless nothing is read from it. It
        is never taken for an empty list, an absence or a success. A web page may leave the outcome
        of a change unknown.

        Likely cause: The code catches an error too broadly and returns None, an empty page or a
        default; or it reads the body itself instead of with `mapping`, `items` or `json`.
        """
        for sample in samples_of(walkthrough, operation):
            for nth in range(len(sample.played)):
                for what, content in mutations.UNREADABLE_BODIES.items():
                    _expect_same_or_malformed(
                        sample, sample.replay(nth, mutations.replace_body(content)), nth, what
                    )

    def test_another_shape(self, walkthrough: Walkthrough, operation: str) -> None:
        """JSON of another shape than expected is MalformedResponse, unless nothing is read from
        it; it is never taken for an empty list, an absence or a success.

        Likely cause: A default such as `body.get(..., [])` hides that a part of the answer is
        missing. Read what must be there with `body[...]`.
        """
        for sample in samples_of(walkthrough, operation):
            for nth in range(len(sample.played)):
                for what, shape in mutations.WRONG_SHAPES.items():
                    mutation = mutations.replace_body(json.dumps(shape).encode())
                    _expect_same_or_malformed(sample, sample.replay(nth, mutation), nth, what)

    def test_answer_that_is_too_large(self, walkthrough: Walkthrough) -> None:
        """An answer that is too large to be read is MalformedResponse; a change that was answered
        so is known to have happened.

        Likely cause: The flow catches the error of the `yield` and goes on.
        """
        for sample in one_of_each_effect(walkthrough):
            for nth, (_, answer) in enumerate(sample.played):
                mutation = mutations.fail_with(
                    SendFailure(
                        "the answer is larger than the limit", status=answer.status, malformed=True
                    )
                )
                replay = sample.replay(nth, mutation)
                if not isinstance(replay.error, MalformedResponse | OutcomeUnknown):
                    _report_misread(sample, replay, nth, "a huge body", "MalformedResponse")

    def test_field_of_another_kind(self, walkthrough: Walkthrough, operation: str) -> None:
        """A field of another kind is tolerated or MalformedResponse: reading never crashes, and
        never invents an id or an address.

        Likely cause: The reader calls a method of a value whose type it does not check, or catches
        too little: only `KeyError`, `TypeError` and `ValueError` become MalformedResponse.
        """
        for sample, nth, path in _fields(walkthrough, operation):
            is_read = False
            for number, value in enumerate(WRONG_VALUES):
                # the first record of a list has the same fields as the second
                if number == 2 and (not is_read or 1 in path):
                    break
                mutation = mutations.change_json(
                    partial(mutations.with_value, path=path, new=value)
                )
                replay = sample.replay(nth, mutation)
                _expect_sane(sample, replay, nth, f"{_named(path)} is {value!r}")
                is_read = is_read or not replay.equals(sample)

    def test_field_that_is_missing(self, walkthrough: Walkthrough, operation: str) -> None:
        """A field that is missing is tolerated or MalformedResponse: reading never crashes, and
        never invents an id or an address.

        Likely cause: The reader fails in another way than with `KeyError`, `TypeError` or
        `ValueError`, or makes something up for a field that must be there.
        """
        for sample, nth, path in _fields(walkthrough, operation):
            mutation = mutations.change_json(partial(mutations.without_value, path=path))
            _expect_sane(sample, sample.replay(nth, mutation), nth, f"{_named(path)} is missing")

    def test_fields_that_are_new(self, walkthrough: Walkthrough, operation: str) -> None:
        """Unknown fields are ignored.

        Likely cause: The reader refuses fields that it does not know, or takes all fields of a
        record for values.
        """

        def extend(value: Any) -> Any:
            if isinstance(value, dict):
                return {**{key: extend(one) for key, one in value.items()}, "zzz_new": {"a": [1]}}
            return [extend(one) for one in value] if isinstance(value, list) else value

        for sample in samples_of(walkthrough, operation):
            for nth in range(len(sample.played)):
                replay = sample.replay(nth, mutations.change_json(extend))
                if replay.error is not None or replay.value != sample.value:
                    _report_misread(sample, replay, nth, "new fields", repr(sample.value))

    # ------------------------------------------------------------------ words

    def test_unknown_state_word(self, walkthrough: Walkthrough, invitation_operation: str) -> None:
        """An unknown word for a state becomes `unknown`, and `raw_state` contains the word. It is
        never guessed, and never an error.

        Likely cause: The table of states has a default other than `State.UNKNOWN`, or is read with
        `[...]` instead of `.get(word, State.UNKNOWN)`.
        """
        known = False
        for sample, invitation in _with_state_word(walkthrough, invitation_operation):

            def change(one: Any, word: str | None = invitation.raw_state) -> Any:
                return UNKNOWN_WORD if one == word else one

            replays = _altered(sample, invitation, change)
            known = known or bool(replays)
            if replays and not any(
                one.id == invitation.id
                and one.raw_state == UNKNOWN_WORD
                and one.state is State.UNKNOWN
                for replay in replays
                for one in _invitations(replay.value)
            ):
                report_finding(
                    expected=f"state unknown, raw_state {UNKNOWN_WORD!r}",
                    got=replays[-1].summary,
                    look_at=_table(sample),
                )
        if not known:
            pytest.skip(f"{invitation_operation} returns no state as a word of the service")

    def test_word_for_the_state_is_kept(
        self, walkthrough: Walkthrough, invitation_operation: str
    ) -> None:
        """The service's own word for the state of an invitation is kept in `raw_state`.

        Likely cause: `raw_state` is missing or translated: give it the service's own word.
        """
        for sample in samples_of(walkthrough, invitation_operation):
            if not isinstance(sample.value, Invitation) or not sample.played:
                continue
            nth = _answers_about(sample, sample.value, range(len(sample.played)))[-1]
            body = mutations.json_of(sample.played[nth][1])
            words = [
                value
                for path, value in mutations.scalars(body if isinstance(body, dict) else {})
                if STATUS_NAME.fullmatch(str(path[-1])) and isinstance(value, str) and value
            ]
            if words and sample.value.raw_state not in words:
                sample.report_finding(
                    expected=f"raw_state is one of {words}", got=repr(sample.value.raw_state)
                )

    def test_state_that_is_no_word(
        self, walkthrough: Walkthrough, invitation_operation: str
    ) -> None:
        """A missing state, or one that is not a word, becomes `unknown` or MalformedResponse: never
        pending, and never accepted.

        Likely cause: The word is looked up before its type is checked, or a missing word counts as
        pending.
        """
        known = False
        for sample, invitation in _with_state_word(walkthrough, invitation_operation):
            for value in NOT_WORDS:

                def blur(one: Any, word: str | None = invitation.raw_state, to: Any = value) -> Any:
                    return to if one == word else one

                replays = _altered(sample, invitation, blur)
                known = known or bool(replays)
                guesses = [
                    [
                        one
                        for one in _invitations(replay.value)
                        if one.id == invitation.id and one.state is not State.UNKNOWN
                    ]
                    for replay in replays
                ]
                if guesses and all(guesses):
                    report_finding(
                        expected="state unknown",
                        got=repr(guesses[-1][0]),
                        look_at=_table(sample),
                    )
        if not known:
            pytest.skip(f"{invitation_operation} returns no state as a word of the service")

    # ------------------------------------------------------------------ dates

    def test_dates_in_every_notation(
        self, walkthrough: Walkthrough, operation: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A moment is the same in every notation, and on machines of every time zone; one without
        a zone is UTC.

        Likely cause: A date is compared as text, cut off, or parsed without its time zone.
        `parse_datetime` reads all of these notations.
        """
        monkeypatch.setenv("TZ", "Pacific/Auckland")
        time.tzset()
        try:
            for sample in samples_of(walkthrough, operation):
                for nth, (_, answer) in enumerate(sample.played):
                    for how, write in mutations.DATE_FORMATS.items():
                        mutation = mutations.rewrite_dates(write)
                        if not mutations.changes(mutation, answer):
                            continue
                        replay = sample.replay(nth, mutation)
                        if replay.error or _moments(replay.value) != _moments(sample.value):
                            what = f"dates written with {how}"
                            _report_misread(sample, replay, nth, what, repr(sample.value))
        finally:
            monkeypatch.undo()
            time.tzset()

    def test_moments_are_aware(self, walkthrough: Walkthrough) -> None:
        """Every moment has a zone, and invitations of this minute were created this minute.

        Likely cause: A date was parsed without a time zone. `parse_datetime` takes UTC if there is
        none.
        """
        for sample in walkthrough.samples.values():
            for invitation in _invitations(sample.value):
                for name in ("created_at", "expires_at", "responded_at"):
                    at = getattr(invitation, name)
                    if at is not None and at.tzinfo is None:
                        sample.report_finding(expected="an aware datetime", got=f"{name}={at!r}")
            if sample.name == "invite" and isinstance(sample.value, Invitation):
                at = sample.value.created_at
                now = sample.clock.now()
                if at is not None and abs((at - now).total_seconds()) > 120:
                    report_finding(
                        expected=f"created_at about {now}",
                        got=at,
                        look_at=location_of(sample.provider, "invite"),
                    )

    def test_dates_in_answers_are_read(self, walkthrough: Walkthrough, operation: str) -> None:
        """A date that the service gives for an invitation or a member, such as the expiry, is in
        one of the fields of the returned value.

        Likely cause: The reader does not use this field, or a field of another name.
        """
        for sample in samples_of(walkthrough, operation):
            for one in _records(sample.value):
                reported = _reported_moments(sample, one)
                read = [at for at in _moments([one])[0] if at is not None]
                for name, at in reported.items():
                    if not any(abs(at - other) <= SECOND for other in read):
                        sample.report_finding(
                            expected=f"{name} = {at.isoformat()} in a field of the {_kind(one)}",
                            got=", ".join(map(str, read)) or "no moment at all",
                        )
                if isinstance(one, Invitation) and one.expires_at is None:
                    record = _record_of(sample, one)
                    lasts = [f"{k} = {v!r}" for k, v in record.items() if _is_duration(k, v)]
                    if lasts:
                        sample.report_finding(
                            expected=f"an expires_at, because of {lasts[0]}", got="None"
                        )


def _expect_same_or_malformed(sample: Sample, replay: Replay, nth: int, what: str) -> None:
    effects = {one.effect for one in sample.requests[nth : nth + 1]}
    changes = not effects & {Effect.READ, Effect.PREPARE}  # without its email nothing has happened
    # A page may come from a proxy. If the service refuses within a 2xx, an unreadable answer may be
    # a refusal. Neither proves that anything has happened.
    is_page = what == "a web page"
    if isinstance(replay.error, MalformedResponse):
        allowed = (True, None) if is_page or may_refuse(sample.provider) else (True,)
        if changes and replay.error.happened not in allowed:
            _report_misread(sample, replay, nth, what, "an error with `happened` True")
        return
    if changes and is_page and isinstance(replay.error, OutcomeUnknown):
        return
    if replay.error is None and replay.value == sample.value:
        return
    if isinstance(replay.value, Page) and replay.value.problems:  # nobody counts as absent then
        return
    if isinstance(replay.error, UnrecordedRequest):  # it asks for what the answer does not tell
        return
    _report_misread(sample, replay, nth, what, "MalformedResponse")


def _expect_sane(sample: Sample, replay: Replay, nth: int, what: str) -> None:
    if isinstance(replay.error, GuestlistError | UnrecordedRequest):
        return
    if replay.error is not None:
        _report_misread(sample, replay, nth, what, "a value or MalformedResponse")
    for one in _records(replay.value):
        email = getattr(one, "email", "")
        ids = (getattr(one, "id", ""), email)
        if any(value in ("None", "null", "True", "[]", "{}") for value in ids):
            _report_misread(sample, replay, nth, what, "no id or address made of nothing")


def _report_misread(sample: Sample, replay: Replay, nth: int, what: str, expected: str) -> None:
    asked = sample.requests[nth] if nth < len(sample.requests) else sample.name
    sample.report_finding(
        rule=f"an answer to {asked} ({what}) is read rightly or refused",
        expected=expected,
        got=replay.summary,
    )


def _named(path: tuple[str | int, ...]) -> str:
    return ".".join(map(str, path)) or "the whole"


def _fields(
    walkthrough: Walkthrough, operation: str
) -> list[tuple[Sample, int, tuple[str | int, ...]]]:
    """Returns every field of the answers of an operation; of lists only the first two records."""
    found, seen = [], set[tuple[int, bytes]]()
    for sample in samples_of(walkthrough, operation):
        for nth, (_, answer) in enumerate(sample.played):
            if (nth, answer.content) in seen:
                continue  # another sample was answered with the same
            seen.add((nth, answer.content))
            for path, _ in mutations.nodes(mutations.json_of(answer)):
                if not any(isinstance(step, int) and step > 1 for step in path):
                    found.append((sample, nth, path))
    return found


def _records(value: Any) -> list[Any]:
    if isinstance(value, Page):
        return list(value.items)
    if isinstance(value, tuple | list):
        return [getattr(one, "role", one) for one in value]
    return [value] if isinstance(value, Invitation | Member | Role) else []


def _invitations(value: Any) -> list[Invitation]:
    return [one for one in _records(value) if isinstance(one, Invitation)]


def _with_state_word(
    walkthrough: Walkthrough, operation: str
) -> Iterator[tuple[Sample, Invitation]]:
    """Yields samples with their invitations whose state is a word of the service."""
    for sample in samples_of(walkthrough, operation):
        for invitation in _invitations(sample.value):
            if invitation.raw_state is not None:
                yield sample, invitation


def _reported_moments(sample: Sample, one: Any) -> dict[str, datetime]:
    """Returns the dates in an answer about a value, by the names of their fields."""
    names = MOMENT_NAME.get(type(one))
    found = {
        name: mutations.parse_any_moment(value)
        for name, value in (_record_of(sample, one) if names else {}).items()
        if names and names.fullmatch(name)
    }
    return {name: at for name, at in found.items() if at is not None}


def _record_of(sample: Sample, one: Any) -> dict[str, Any]:
    """Returns the record of a value from the last answer that contains its id."""
    for _, answer in reversed(sample.played):
        body = mutations.json_of(answer)
        for record in (body, *(inner for _, inner in mutations.nodes(body))):
            if isinstance(record, dict) and one.id in map(str, record.values()):
                return record
    return {}


def _is_duration(name: str, value: Any) -> bool:
    """Returns whether a field is the lifetime of an invitation, such as `expires_in`."""
    match = re.fullmatch(r"(?i)expires?_?in(?:_?(?:s|secs|seconds))?", name)
    return bool(match) and isinstance(value, int | float) and value > 0


def _kind(one: Any) -> str:
    return type(one).__name__.lower()


def _altered(sample: Sample, invitation: Invitation, change: Callable[[Any], Any]) -> list[Replay]:
    """Runs a sample again with another word for the state of an invitation: once for each answer
    from which the word may be read. Returns None if no answer contains it."""
    mutation = mutations.change_json(mutations.map_scalars(change))
    invitation_operation = [
        nth for nth, (_, answer) in enumerate(sample.played) if mutation(answer) != answer
    ]
    return [
        sample.replay(nth, mutation)
        for nth in _answers_about(sample, invitation, invitation_operation)
    ]


def _answers_about(sample: Sample, invitation: Invitation, among: Iterable[int]) -> list[int]:
    """Returns the answers of a sample that name an invitation by its id or address; all of them if
    none does."""
    names = {str(invitation.id), email_key(invitation.email or "")}
    about = [
        nth
        for nth in among
        if names & {email_key(str(one)) for one in _plain(sample, nth)}
        or names & {str(one) for one in _plain(sample, nth)}
    ]
    return about or list(among)


def _plain(sample: Sample, nth: int) -> list[Any]:
    """Returns the values of an answer that are neither objects nor lists."""
    body = mutations.json_of(sample.played[nth][1])
    return [one for _, one in mutations.scalars(body)] if isinstance(body, dict | list) else []


def _table(sample: Sample) -> str:
    return (
        f"{location_of(sample.provider, sample.name)}, its table from the service's words to states"
    )


def _moments(value: Any) -> list[Any]:
    names = ("created_at", "expires_at", "responded_at", "joined_at")
    return [[getattr(one, name, None) for name in names] for one in _records(value)]
