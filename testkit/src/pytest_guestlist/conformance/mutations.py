"""Mutations: other answers that a service might give."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

from guestlist.address import email_key
from guestlist.exchange.step import SendFailure
from guestlist.provider import Response
from pytest_guestlist.conformance.wires import Answer, Mutation

Path = tuple[str | int, ...]
"""Where a value is in a JSON document."""

ERROR_TEXT = "the moon is in the way"
ERROR_CODE = "MOON_IN_THE_WAY"
"""Text and code of an error of the service; guestlist's error has to contain them."""

ERROR_BODIES: dict[str, dict[str, Any]] = {
    "an error text": {"error": ERROR_TEXT},
    "a message": {"message": ERROR_TEXT},
    "a message and a code": {"message": ERROR_TEXT, "code": ERROR_CODE},
    "an error object": {"error": {"message": ERROR_TEXT, "code": ERROR_CODE}},
    "a list of errors": {"errors": [{"message": ERROR_TEXT}]},
    "a detail": {"detail": ERROR_TEXT},
}
"""The usual shapes of error bodies."""

UNREADABLE_BODIES: dict[str, bytes] = {
    "an empty body": b"",
    "a web page": b"<!doctype html><title>Please wait</title>",
    "plain text": b"OK",
    "half a document": b'{"id": "7", "email": "ada@exam',
    "bytes that are not text": b"\xff\xfe\x00{}",
    "two documents": b"{}{}",
}
"""Bodies that are not JSON."""

WRONG_SHAPES: dict[str, Any] = {
    "null": None,
    "a number": 7,
    "a text": "done",
    "true": True,
    "an empty object": {},
    "an array of numbers": [1, 2, 3],
    "an array of arrays": [[]],
    "an object with an unknown key": {"zzz": {"zzz": []}},
}
"""JSON of shapes that no answer has."""


def respond_with(status: int, body: Any, headers: dict[str, str] | None = None) -> Mutation:
    """Returns a mutation that replaces the answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    all_headers = {"content-type": "application/json", **(headers or {})}
    return lambda _answer: Response(status, all_headers, content)


def replace_body(content: bytes) -> Mutation:
    """Returns a mutation that replaces the body and keeps the status."""
    return lambda answer: replace(answer, content=content)


def fail_with(failure: SendFailure) -> Mutation:
    """Returns a mutation that replaces the answer by a failure."""
    return lambda _answer: failure


def change_json(change: Callable[[Any], Any]) -> Mutation:
    """Returns a mutation that alters the JSON of an answer. An answer that is not JSON stays."""

    def mutation(answer: Response) -> Response:
        try:
            document = json.loads(answer.content)
        except ValueError:
            return answer
        return replace(answer, content=json.dumps(change(document)).encode())

    return mutation


def changes(mutation: Mutation, answer: Response) -> bool:
    """Returns whether a mutation changes the JSON of an answer."""
    changed = mutation(answer)
    return not isinstance(changed, Response) or json_of(changed) != json_of(answer)


def json_of(answer: Response) -> Any:
    """Returns the JSON of an answer. None if it is not JSON."""
    try:
        return json.loads(answer.content)
    except ValueError:
        return None


def scalars(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yields path and value of each scalar in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        if isinstance(one, dict | list) and one:
            yield from scalars(one, (*path, key))
        else:
            yield (*path, key), one


def nodes(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yields path and value of every node in a document except the top."""
    if isinstance(value, dict | list):
        inner = list(value.items() if isinstance(value, dict) else enumerate(value))
        for key, one in inner:
            yield (*path, key), one
            yield from nodes(one, (*path, key))


def with_value(value: Any, path: Path, new: Any) -> Any:
    """Returns the document with another value at a path."""
    *before, last = path
    inner = value
    for step in before:
        inner = inner[step]
    inner[last] = new
    return value


def without_value(value: Any, path: Path) -> Any:
    """Returns the document without the value at a path."""
    *before, last = path
    inner = value
    for step in before:
        inner = inner[step]
    del inner[last]
    return value


def map_scalars(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Returns a function that applies `change` to every scalar of a document."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(one) for key, one in value.items()}
        if isinstance(value, list):
            return [walk(one) for one in value]
        return change(value)

    return walk


# ---------------------------------------------------------------------------- dates


def parse_moment(value: Any) -> datetime | None:
    """Returns the datetime in a text. None if it has no date and time."""
    if not isinstance(value, str) or len(value) < 16 or value[4:5] != "-":
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def parse_any_moment(value: Any) -> datetime | None:
    """Returns the datetime in a text, or in seconds or milliseconds since 1970. None for others."""
    at = parse_moment(value)
    if at is not None:
        return _aware(at)
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value / 1000 if value > EPOCHS[1] else value
        if EPOCHS[0] <= seconds <= EPOCHS[1]:
            return datetime.fromtimestamp(seconds, UTC)
    return None


EPOCHS = (1e9, 1e11)
"""The range in which a number counts as seconds since 1970. Greater numbers are milliseconds."""


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _zone(hours: int, minutes: int = 0) -> timezone:
    return timezone(timedelta(hours=hours, minutes=minutes))


DATE_FORMATS: dict[str, Callable[[datetime], str]] = {
    "Z": lambda at: at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    "+00:00": lambda at: at.astimezone(UTC).isoformat(),
    "no zone, which means UTC": lambda at: at.astimezone(UTC).replace(tzinfo=None).isoformat(),
    "a zone in the east": lambda at: at.astimezone(_zone(5, 30)).isoformat(),
    "a zone in the west": lambda at: at.astimezone(_zone(-8)).isoformat(),
    "microseconds": lambda at: at.astimezone(UTC).isoformat(timespec="microseconds"),
}
"""The formats in which services write the same datetime."""


def rewrite_dates(write: Callable[[datetime], str]) -> Mutation:
    """Returns a mutation that writes every datetime of an answer in another format."""

    def change(value: Any) -> Any:
        at = parse_moment(value)
        return write(_aware(at)) if at else value

    return change_json(map_scalars(change))


# ---------------------------------------------------------------------------- lists


def nonempty_lists(value: Any) -> list[Path]:
    """Returns where an answer has lists of objects that are not empty nor within another list."""
    return [path for path in _lists(value) if value_at(value, path)]


def list_describing(value: Any, records: Sequence[Any]) -> Path | None:
    """Returns where the list is whose objects describe most of these records, by id or address.
    None if there is no such list: the lists of a single record describe something else.

    Args:
        value: the JSON of an answer.
        records: invitations, members or roles that were read from it.
    """
    counts = {path: count_described(value, path, records) for path in _lists(value)}
    best = max(counts, key=lambda path: counts[path], default=None)
    return best if best is not None and counts[best] else None


def count_described(value: Any, path: Path, records: Sequence[Any]) -> int:
    """Returns how many of these records a list of an answer describes. An address counts only for
    a record whose id is nowhere in the answer."""
    everything = {_name(one) for _, one in scalars(value)}
    listed = {_name(one) for record in value_at(value, path) for one in _own(record)}
    count = 0
    for one in records:
        has_id = one.id is not None and _name(one.id) in everything
        name = one.id if has_id else getattr(one, "email", None)
        count += name is not None and _name(name) in listed
    return count


def _name(value: Any) -> str:
    return email_key(str(value))


def _own(value: Any) -> Iterator[Any]:
    """Yields the values of an object that are not within a list."""
    for one in value.values():
        if isinstance(one, dict):
            yield from _own(one)
        elif not isinstance(one, list):
            yield one


def _lists(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yields where the lists of objects are that are not within another list."""
    if isinstance(value, list):
        if all(isinstance(one, dict) for one in value):
            yield path
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _lists(one, (*path, key))


def paths_outside(value: Any, records: Path) -> list[Path]:
    """Returns the places in an answer that are not within the list at `records`, and do not contain
    it."""
    return [
        path
        for path, _ in nodes(value)
        if path[: len(records)] != records and records[: len(path)] != path
    ]


def with_wrong_type(value: Any, path: Path) -> Any:
    """Returns the document with a value of the wrong type at a path."""
    try:
        plain = not isinstance(value_at(value, path), dict | list)
    except LookupError:
        return value
    return with_value(value, path, {"zzz": 1} if plain else "zzz")


def value_at(value: Any, path: Path) -> Any:
    """Returns the value at a path."""
    for step in path:
        value = value[step]
    return value


def with_records(value: Any, path: Path, records: list[Any]) -> Any:
    """Returns the document with other records in its list, and a matching total."""
    count = len(value_at(value, path))

    def fit(one: Any) -> Any:
        if isinstance(one, dict):
            return {
                key: len(records)
                if "total" in str(key).lower() and inner == count and inner is not True
                else fit(inner)
                for key, inner in one.items()
            }
        return one

    if not path:
        return records
    return with_value(fit(value), path, records)


def as_another_person(record: Any, n: int) -> Any:
    """Returns the record with other ids and addresses, as if of another person."""
    if isinstance(record, dict):
        return {
            key: f"{n}-{value}"
            if isinstance(value, str) and (str(key) in ("id", "uuid", "email") or "@" in value)
            else as_another_person(value, n)
            for key, value in record.items()
        }
    return [as_another_person(one, n) for one in record] if isinstance(record, list) else record


def without_totals(value: Any) -> Any:
    """Returns the document without totals and counts."""
    if isinstance(value, dict):
        return {
            key: without_totals(one)
            for key, one in value.items()
            if "total" not in str(key).lower() and "count" not in str(key).lower()
        }
    return value


def with_another_total(old: int, new: int) -> Mutation:
    """Returns a mutation that replaces a total in the body and headers of an answer."""
    body = change_json(partial(with_total, old=old, new=new))

    def mutation(answer: Response) -> Answer:
        headers = {
            name: str(new) if "total" in name and value == str(old) else value
            for name, value in answer.headers.items()
        }
        return body(replace(answer, headers=headers))

    return mutation


def with_total(value: Any, old: int, new: int) -> Any:
    """Returns the document with another total wherever it has the old one."""
    if isinstance(value, dict):
        return {
            key: new
            if "total" in str(key).lower() and one == old and one is not True
            else with_total(one, old, new)
            for key, one in value.items()
        }
    return value
