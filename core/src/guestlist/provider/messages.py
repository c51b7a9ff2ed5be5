"""Requests, responses and pages: the values that a flow yields, receives and returns. Does no
I/O."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar

from pydantic import SecretStr
from pydantic_core import from_json

from guestlist.address import email_key
from guestlist.errors import InvalidArgument, MalformedResponse, NotFound
from guestlist.provider.shapes import CHANGED, READING_ERRORS, shape_problem

T = TypeVar("T")

building = threading.local()
"""While an operation runs, `building.witness` is the list to which each new `Request` is appended,
and `building.flow` is the name of the operation, such as `Acme.invite`."""


class Effect(StrEnum):
    """The effect of sending a request. Decides whether it is retried after an answer was lost."""

    READ = "read"
    """Changes nothing."""
    REPEATABLE = "repeatable"
    """Sending it twice has the same result as sending it once."""
    PREPARE = "prepare"
    """Creates a record without sending an email: a later request of the same flow sends it. The
    request is repeated if no answer came, so the flow has to accept a record that already
    exists."""
    CREATE = "create"
    """Sending it twice may act twice: a second email, a second record. Never retried unless it is
    certain that the first attempt had no effect."""


Query = Mapping[str, str | int | bool | SecretStr | None]
"""The query parameters of a URL, or the fields of a form."""

Segment = str | int | SecretStr
"""One segment of a path."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Request:
    """One HTTP request, as data. Create it with `Request.get`, `.post`, `.put`, `.patch` or
    `.delete`.

    Attributes:
        method: in upper case.
        path: the segments after the base URL: strings, or integers, which are converted to strings.
            Each segment is percent-encoded, so an id that contains a slash stays in its segment.
            Pass a secret as `SecretStr` to have it masked wherever the path is shown.
        query: parameters; those with the value None are omitted, booleans become `true` and
            `false`.
        json: the body as JSON, or None.
        effect: what sending the request may do. The default is READ for GET, REPEATABLE for PUT and
            DELETE, CREATE for POST and PATCH. Pass `Effect.READ` for a POST that only lists.
        public: whether it is sent without credentials.
        form: the body as a form (`application/x-www-form-urlencoded`), or None. Its values are
            converted like those of `query`. Pass a secret as `SecretStr` to have it masked.
        origin: the name of the setting whose URL precedes the path. A request to another URL than
            `base_url` is sent without credentials.

    Raises:
        InvalidArgument: a segment of the path is empty, `.`, `..`, or neither a string nor an
            integer, such as an id that is None. The message names the flow and the segment.
        TypeError: both `json` and `form` are given.
    """

    method: str
    path: tuple[Segment, ...]
    query: Query = field(default_factory=dict)
    json: Any = None
    effect: Effect = Effect.CREATE
    public: bool = False
    form: Query | None = None
    origin: str = "base_url"

    def __post_init__(self) -> None:
        for segment in self.path:
            if type(segment) is not str or segment in _NOT_SEGMENTS:
                object.__setattr__(self, "path", tuple(_segments(self.method, self.path)))
                break
        if self.json is not None and self.form is not None:
            raise TypeError(f"{self} has a JSON body and a form: it can have only one body")
        witness = getattr(building, "witness", None)
        if witness is not None:
            witness.append(self)

    @classmethod
    def get(cls, *path: Segment, query: Query | None = None, public: bool = False) -> Self:
        """Creates a GET request, which changes nothing.

        Args:
            path: the segments after the base URL.
            query: parameters; those with the value None are omitted, booleans become `true` and
                `false`.
            public: whether it is sent without credentials.
        """
        return cls("GET", path, query or {}, effect=Effect.READ, public=public)

    @classmethod
    def post(
        cls,
        *path: Segment,
        json: Any = None,
        query: Query | None = None,
        form: Query | None = None,
        effect: Effect = Effect.CREATE,
        public: bool = False,
        origin: str = "base_url",
    ) -> Self:
        """Creates a POST request. Its effect is CREATE unless `effect` is given.

        Args:
            path: the segments after the base URL.
            json: the body as JSON; None for no body.
            query: parameters; those with the value None are omitted, booleans become `true` and
                `false`.
            form: the fields of a form, instead of `json`. Converted like `query`.
            effect: what sending the request may do: `Effect.READ` if it changes nothing,
                `Effect.REPEATABLE` if sending it twice has the same result as once,
                `Effect.PREPARE` if a later request of the flow sends the email.
            public: whether it is sent without credentials.
            origin: the name of the setting whose URL precedes the path.
        """
        return cls("POST", path, query or {}, json, effect, public, form, origin)

    @classmethod
    def put(
        cls,
        *path: Segment,
        json: Any = None,
        query: Query | None = None,
        form: Query | None = None,
        effect: Effect = Effect.REPEATABLE,
    ) -> Self:
        """Creates a PUT request. Its effect is REPEATABLE unless `effect` is given. Arguments as
        for `post`."""
        return cls("PUT", path, query or {}, json, effect, form=form)

    @classmethod
    def patch(
        cls,
        *path: Segment,
        json: Any = None,
        query: Query | None = None,
        form: Query | None = None,
        effect: Effect = Effect.CREATE,
    ) -> Self:
        """Creates a PATCH request. Its effect is CREATE unless `effect` is given. Arguments as for
        `post`."""
        return cls("PATCH", path, query or {}, json, effect, form=form)

    @classmethod
    def delete(
        cls,
        *path: Segment,
        json: Any = None,
        query: Query | None = None,
        effect: Effect = Effect.REPEATABLE,
    ) -> Self:
        """Creates a DELETE request. Its effect is REPEATABLE unless `effect` is given. Arguments as
        for `post`."""
        return cls("DELETE", path, query or {}, json, effect)

    def __str__(self) -> str:
        return f"{self.method} /{'/'.join(map(str, self.path))}"


_NOT_SEGMENTS = ("", ".", "..")
"""Segments that would change the path instead of naming a record."""


def _segments(method: str, path: tuple[Any, ...]) -> Iterator[str | SecretStr]:
    for number, segment in enumerate(path):
        text = segment.get_secret_value() if isinstance(segment, SecretStr) else segment
        if isinstance(text, str) and text not in _NOT_SEGMENTS:
            yield segment
        elif isinstance(segment, int) and not isinstance(segment, bool):
            yield str(int(segment))
        else:
            flow = getattr(building, "flow", None)
            before = "".join(f"/{one}" for one in path[:number])
            found = repr(text) if text in _NOT_SEGMENTS else type(segment).__name__
            where = f"{flow}: " if flow else ""
            raise InvalidArgument(
                f"{where}{method} {before}/…: segment {number + 1} of the path is {found}, and has"
                " to be a string that is not empty, or an integer"
            )


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer, as data, with its complete body.

    Attributes:
        status: the status code.
        headers: the headers; names are in lower case.
        content: the body, decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    def json(self) -> Any:
        """Returns the body as JSON. Each character that is not valid Unicode (half of a surrogate
        pair, bytes that are not UTF-8) is replaced by `\ufffd`.

        Raises:
            MalformedResponse: the body is not JSON.
        """
        try:
            return from_json(self.content, cache_strings="keys")  # only keys occur repeatedly
        except ValueError as error:
            try:
                return _repaired(self.content)
            except (ValueError, RecursionError):
                pass
            kind = self.headers.get("content-type")
            form = f"of {kind}" if kind else "without a content type"
            what = f"{len(self.content)} bytes {form}" if self.content else "it is empty"
            raise MalformedResponse(
                f"the answer is not JSON: {what}", status=self.status
            ) from error

    def mapping(self, *envelopes: str) -> dict[str, Any]:
        """Returns the body as a JSON object. If one of the fields `envelopes` contains an object,
        returns the first such object instead.

        Raises:
            MalformedResponse: the body is not a JSON object.
        """
        data = self.json()
        if isinstance(data, dict):
            for name in envelopes:
                if isinstance(data.get(name), dict):
                    return data[name]  # type: ignore[no-any-return]
            return data
        raise MalformedResponse(
            f"the answer is a JSON {_json_type(data)} where an object was expected",
            status=self.status,
        )

    def items(self, *names: str) -> list[dict[str, Any]]:
        """Returns the body as a list of JSON objects. The list is the body itself, or the value of
        the first of the fields `names` that exists.

        Raises:
            MalformedResponse: there is no such list, or an item is not an object.
        """
        found = self.records(*names)
        if all(issubclass(kind, dict) for kind in set(map(type, found))):
            return found
        raise self._no_list(names)

    def records(self, *names: str) -> list[Any]:
        """Returns the body as a list, like `items`, without checking what the list contains. Pass
        the result to `Page.of`, which skips the records that cannot be read.

        Raises:
            MalformedResponse: there is no such list.
        """
        data = self.json()
        if isinstance(data, dict):
            found = [data[name] for name in names if name in data]
            data = found[0] if found else None
        if isinstance(data, list):
            return data
        raise self._no_list(names)

    def _no_list(self, names: Sequence[str]) -> MalformedResponse:
        return MalformedResponse(
            f"the answer has no list of {names[0] if names else 'items'}", status=self.status
        )


@dataclass(frozen=True, slots=True)
class Token:
    """A credential that a service issues for a limited time, as `Provider.fetch_token` returns it.
    Sent as `Authorization: Bearer ...`, and masked like a secret setting.

    Attributes:
        value: the token.
        expires_in: seconds until it expires. None if the service does not give the time: then the
            token is used until the service refuses it.
        scheme: the word before the token in the header.

    Raises:
        TypeError, ValueError: the service sent a value of another type. In a flow this becomes
            `MalformedResponse`.
    """

    value: str = field(repr=False)
    expires_in: float | None = None
    scheme: str = "Bearer"

    def __post_init__(self) -> None:
        if not isinstance(self.value, str) or not self.value:
            raise TypeError("a token has to be a string that is not empty")
        if self.expires_in is not None:
            object.__setattr__(self, "expires_in", float(self.expires_in))

    @classmethod
    def of(cls, response: Response) -> Self:
        """Reads the answer of an OAuth 2.0 token request (RFC 6749, section 5.1)."""
        body = response.mapping()
        return cls(body["access_token"], body.get("expires_in"))


class Repaired(dict[str, Any]):
    """A JSON object in which invalid Unicode was replaced."""


_is_surrogate = re.compile("[\ud800-\udfff]+")


def _repaired(content: bytes) -> Any:
    """Parses JSON that contains invalid Unicode, and replaces each invalid character.

    Raises:
        ValueError, RecursionError: the content is not JSON for another reason.
    """
    text = content.decode("utf-8", "surrogateescape")
    return _replaced(json.loads(text, object_pairs_hook=_object, strict=False))[0]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read, repaired = {}, False
    for pair in pairs:
        (name, value), changed = _replaced(list(pair))
        read[name] = value
        repaired = repaired or changed
    return Repaired(read) if repaired else read


def _replaced(value: Any) -> tuple[Any, bool]:
    """Returns the value with each surrogate replaced, and whether it had any."""
    if isinstance(value, str):
        text = _is_surrogate.sub("\ufffd", value)
        return text, text != value
    if isinstance(value, list):
        parts = [_replaced(one) for one in value]
        return [part for part, _ in parts], any(changed for _, changed in parts)
    return value, isinstance(value, Repaired)


def _json_type(data: object) -> str:
    names = {list: "list", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(data), "number")


@dataclass(frozen=True, slots=True)
class RecordProblem:
    """A record of a list that cannot be read, or only in part.

    Attributes:
        position: the position of the record in the list, counted from 1; in `Page.problems`, its
            position on the page.
        reason: what is wrong with the record.
        id: the record's id, or None if that cannot be read.
        email: the email address of the person that the record is about, or None if that cannot be
            read.
        kept: whether the record is in the page's `items` nevertheless, with the fields that can be
            read.
    """

    position: int
    reason: str
    id: str | None = None
    email: str | None = None
    kept: bool = False

    @classmethod
    def of(
        cls,
        position: int,
        record: Any,
        error: Exception,
        email: Callable[[Any], Any] | None = None,
    ) -> Self:
        """Returns the description of a record that could not be read.

        Args:
            position: the position of the record on the page, counted from 1.
            record: the record as the service sent it.
            error: the exception that reading it raised: one of `READING_ERRORS`.
            email: a function that returns the email address in a record; by default the field
                `email`.
        """
        return cls(position, shape_problem(error), record_id(record), _address(record, email))

    def may_be(self, key: str) -> bool:
        """Returns whether the record is not among the items and may be about the person with this
        key (see `guestlist.models.email_key`)."""
        return not self.kept and (self.email is None or email_key(self.email) == key)

    def __str__(self) -> str:
        named = f" (id {self.id})" if self.id is not None else ""
        return f"record {self.position}{named}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, with the cursor of the next page. Usually created with `Page.of`.

    Attributes:
        items: the items, in the service's order.
        next: the `cursor` for the next page; None on the last page.
        total: the number of records on all pages, or None if the service does not report it. If the
            pages contain fewer records, guestlist treats the list as incomplete, and never
            concludes from it that somebody is absent.
        left_out: how many records of this page are not in `items`, such as invited people in a list
            of members. They count toward `total`.
        cut_off: set this if the service may have ended its list here although there are more
            records: a sentence that says what to do about it. guestlist then never concludes from
            the list that somebody is absent.
        moved: whether the list has become shorter since the previous page, so that this page was
            read from a lower offset (see `by_offset`). It may repeat items of the previous page.
        section: the name of the part of the list that `total` counts, if one operation reads
            several lists of the service one after another.
        problems: the records that cannot be read, or only in part.

    Raises:
        TypeError: `next` is not a string, or `total` is not an integer.
    """

    items: Sequence[T]
    next: str | None = None
    total: int | None = None
    cut_off: str | None = None
    moved: bool = False
    left_out: int = 0
    section: str = ""
    problems: Sequence[RecordProblem] = ()

    def __post_init__(self) -> None:
        # Check the types, because providers often pass these values on unchecked.
        if self.next is not None and not isinstance(self.next, str):
            raise TypeError(f"next of a page has to be str or None: {self.next!r}")
        if self.total is not None and not isinstance(self.total, int):
            raise TypeError(f"total of a page has to be int or None: {self.total!r}")

    @property
    def records(self) -> int:
        """The number of records that the service sent for this page."""
        return len(self.items) + self.left_out

    def with_id(self, id: str) -> T:
        """Returns the item with this id. For a service that has a list, but no request for one
        record.

        Raises:
            NotFound: the page has no such item.
            MalformedResponse: a record that may have this id cannot be read.
        """
        for item in self.items:
            if getattr(item, "id", None) == id:
                return item
        for problem in self.problems:
            if not problem.kept and problem.id in (None, id):
                raise MalformedResponse(f"the record with the id {id!r} cannot be read: {problem}")
        raise NotFound(f"there is no record with the id {id!r}")

    @classmethod
    def of(
        cls,
        records: Sequence[Any],
        read: Callable[[Any], T | None],
        next: str | None = None,
        total: int | None = None,
        *,
        email: Callable[[Any], Any] | None = None,
        cut_off: str | None = None,
        moved: bool = False,
        section: str = "",
    ) -> Page[T]:
        """Creates a page from the records that a service sent. A record that cannot be read is
        skipped and added to the page's `problems`; the other records are read as usual.

            reply = yield Request.get("members", query={"cursor": cursor})
            return Page.of(reply.records("members"), read_member, reply.mapping()["next"])

        Args:
            records: the records as the service sent them.
            read: a function that reads one record. It returns None for a record that does not
                belong to the list.
            next: the cursor of the next page; None on the last page.
            total: the number of records on all pages, if the service reports it.
            cut_off: what to do if the service may have ended the list early. See the attributes.
            moved: whether the list has become shorter. See the attributes.
            section: the part of the list that `total` counts.
            email: a function that returns the email address in a record; by default the field
                `email`.

        Raises:
            MalformedResponse: no record can be read, and none has a readable email address. With a
                single record, only if it has no readable id either. The service has probably
                changed.
        """
        items: list[T] = []
        problems: list[RecordProblem] = []
        for position, record in enumerate(records, 1):
            try:
                item = read(record)
            except (MalformedResponse, *READING_ERRORS) as error:
                problems.append(RecordProblem.of(position, record, error, email))
                continue
            if type(record) is Repaired:
                reason = "it contains text that is not valid Unicode"
                address, id = _address(record, email), record_id(record)
                problems.append(RecordProblem(position, reason, id, address, kept=item is not None))
            if item is not None:
                items.append(item)
        unknown = [one for one in problems if one.email is None and not one.kept]
        if records and len(unknown) == len(records) and (len(unknown) > 1 or not unknown[0].id):
            raise MalformedResponse(
                f"the answer does not have the expected form ({problems[0].reason})", hint=CHANGED
            )
        left_out = len(records) - len(items)
        return Page(items, next, total, cut_off, moved, left_out, section, tuple(problems))


def _address(record: Any, email: Callable[[Any], Any] | None) -> str | None:
    try:
        found = email(record) if email is not None else record["email"]
    except READING_ERRORS:
        return None
    return found if isinstance(found, str) and "@" in found else None


def record_id(record: Any) -> str | None:
    """Returns the id in a record as a service sent it; None if there is none."""
    for name in ("id", "uuid", "user_id") if isinstance(record, dict) else ():
        if isinstance(record.get(name), str | int):
            return str(record[name])
    return None


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate limit of a service: at most `count` requests in `per` seconds.

        limits = (
            Limit(1000, 10.0),
            Limit(250, 3600.0, what="invitations",
                  applies_to=lambda request: request.path[-1] == "invitations"
                  and request.method == "POST"),
        )

    Attributes:
        count: number of requests.
        per: seconds.
        applies_to: a function that returns whether the limit counts a request; None if it counts
            all requests. If the service refuses a request because of such a limit, only the
            requests that the limit counts are paused.
        what: the requests that the limit counts, as a plural noun for messages.
    """

    count: int
    per: float = 1.0
    applies_to: Callable[[Request], bool] | None = None
    what: str = "requests"
