"""What a flow yields and receives: requests, responses, pages. Plain data, no I/O."""

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
from guestlist.errors import InvalidOrder, MalformedResponse, NotFound
from guestlist.provider.shapes import CHANGED, READING_ERRORS, shape_problem

T = TypeVar("T")

building = threading.local()
"""`building.witness` is the list that notes the requests built by the operation that runs now."""


class Effect(StrEnum):
    """What sending a request may do, which decides what happens when no answer comes."""

    READ = "read"
    """Changes nothing."""
    REPEATABLE = "repeatable"
    """Sending it twice has the same result as once."""
    CREATE = "create"
    """Sending it twice may act twice: a second mail, a second record. Never sent again blindly."""


Query = Mapping[str, str | int | bool | SecretStr | None]
"""The parameters of a URL."""

Segment = str | int | SecretStr
"""A part of a path."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Request:
    """One HTTP request, as data. Made with `Request.get`, `.post`, `.put`, `.patch`, `.delete`.

    Attributes:
        method: upper case.
        path: the segments after the base URL: text, or whole numbers, which become text. Each is
            percent-encoded, so no identifier can leave its segment. A secret in a path is passed as
            `SecretStr` and masked wherever it shows.
        query: parameters; None values are left out, booleans become `true` and `false`.
        json: the body, or None for no body.
        effect: what sending it may do. GET reads; PUT and DELETE are repeatable; POST and PATCH
            create unless said otherwise (a POST that lists is `Effect.READ`).
        public: sent without credentials.

    Raises:
        InvalidOrder: a segment that is neither text nor a whole number, such as an id that is None.
    """

    method: str
    path: tuple[Segment, ...]
    query: Query = field(default_factory=dict)
    json: Any = None
    effect: Effect = Effect.CREATE
    public: bool = False

    def __post_init__(self) -> None:
        for segment in self.path:
            if type(segment) is not str:
                object.__setattr__(self, "path", tuple(_segments(self.method, self.path)))
                break
        witness = getattr(building, "witness", None)
        if witness is not None:
            witness.append(self)

    @classmethod
    def get(cls, *path: Segment, query: Query | None = None, public: bool = False) -> Self:
        """A request that reads.

        Args:
            path: the segments after the base URL.
            query: parameters; None values are left out, booleans become `true` and `false`.
            public: whether it is sent without credentials.
        """
        return cls("GET", path, query or {}, effect=Effect.READ, public=public)

    @classmethod
    def post(
        cls,
        *path: Segment,
        json: Any = None,
        query: Query | None = None,
        effect: Effect = Effect.CREATE,
        public: bool = False,
    ) -> Self:
        """A request that creates, unless `effect` says otherwise.

        Args:
            path: the segments after the base URL.
            json: the body; None for no body.
            query: parameters; None values are left out, booleans become `true` and `false`.
            effect: what sending it may do: `Effect.READ` where it only looks, `Effect.REPEATABLE`
                where twice is the same as once.
            public: whether it is sent without credentials.
        """
        return cls("POST", path, query or {}, json, effect, public)

    @classmethod
    def put(
        cls,
        *path: Segment,
        json: Any = None,
        query: Query | None = None,
        effect: Effect = Effect.REPEATABLE,
    ) -> Self:
        """A request that may be repeated, unless `effect` says otherwise. See `post`."""
        return cls("PUT", path, query or {}, json, effect)

    @classmethod
    def patch(
        cls,
        *path: Segment,
        json: Any = None,
        query: Query | None = None,
        effect: Effect = Effect.CREATE,
    ) -> Self:
        """A request that acts each time, unless `effect` says otherwise. See `post`."""
        return cls("PATCH", path, query or {}, json, effect)

    @classmethod
    def delete(
        cls,
        *path: Segment,
        json: Any = None,
        query: Query | None = None,
        effect: Effect = Effect.REPEATABLE,
    ) -> Self:
        """A request that may be repeated, unless `effect` says otherwise. See `post`."""
        return cls("DELETE", path, query or {}, json, effect)

    def __str__(self) -> str:
        return f"{self.method} /{'/'.join(map(str, self.path))}"


def _segments(method: str, path: tuple[Any, ...]) -> Iterator[str | SecretStr]:
    for number, segment in enumerate(path):
        if isinstance(segment, str | SecretStr):
            yield segment
        elif isinstance(segment, int) and not isinstance(segment, bool):
            yield str(int(segment))
        else:
            before = "".join(f"/{one}" for one in path[:number])
            raise InvalidOrder(
                f"{method} {before}/…: what comes next in the path has to be text or a whole"
                f" number, and is {type(segment).__name__}"
            )


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer, as data, read to its end.

    Attributes:
        status: the status code.
        headers: names in lower case.
        content: the body, decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    def json(self) -> Any:
        """The body as JSON. Text that is not Unicode (half of a surrogate pair, bytes that are not
        UTF-8) is read with `\ufffd` in place of each such character.

        Raises:
            MalformedResponse: it is not JSON.
        """
        try:
            return from_json(self.content, cache_strings="keys")  # only these come again
        except ValueError as error:
            try:
                return _repaired(self.content)
            except (ValueError, RecursionError):
                pass
            kind = self.headers.get("content-type", "no content type")
            size = f"{len(self.content)} bytes" if self.content else "nothing"
            raise MalformedResponse(
                f"the answer is not JSON: {size} of {kind}", status=self.status
            ) from error

    def mapping(self, *envelopes: str) -> dict[str, Any]:
        """The body as a JSON object; inside the first of `envelopes` that is there and an object.

        Raises:
            MalformedResponse: it is not a JSON object.
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
        """The body as a list of JSON objects: bare, or under the first of `names` that is there.

        Raises:
            MalformedResponse: there is no such list, or it holds something else.
        """
        found = self.records(*names)
        if all(issubclass(kind, dict) for kind in set(map(type, found))):
            return found
        raise self._no_list(names)

    def records(self, *names: str) -> list[Any]:
        """The body as a list, found like `items` finds it. What the list holds is not checked: for
        `Page.of`, which skips a record that cannot be read and keeps the others.

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


class Repaired(dict[str, Any]):
    """A JSON object with text that is not Unicode, which was replaced."""


_is_surrogate = re.compile("[\ud800-\udfff]+")


def _repaired(content: bytes) -> Any:
    """Parses JSON that holds text which is not Unicode.

    Raises:
        ValueError, RecursionError: it is not JSON for another reason.
    """
    text = content.decode("utf-8", "surrogateescape")
    return _replaced(json.loads(text, object_pairs_hook=_object, strict=False))[0]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read, odd = {}, False
    for pair in pairs:
        (name, value), is_odd = _replaced(list(pair))
        read[name] = value
        odd = odd or is_odd
    return Repaired(read) if odd else read


def _replaced(value: Any) -> tuple[Any, bool]:
    """Returns the value with each surrogate replaced, and whether there was one."""
    if isinstance(value, str):
        text = _is_surrogate.sub("\ufffd", value)
        return text, text != value
    if isinstance(value, list):
        parts = [_replaced(one) for one in value]
        return [part for part, _ in parts], any(odd for _, odd in parts)
    return value, isinstance(value, Repaired)


def _json_type(data: object) -> str:
    names = {list: "list", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(data), "number")


@dataclass(frozen=True, slots=True)
class RecordProblem:
    """A record of a list that cannot be read as it should be.

    Attributes:
        position: its place in the list, from 1; on a page, its place on the page.
        reason: what is wrong with it.
        id: the record's id, if it can be read.
        email: the address that the record is about; None if that cannot be read.
        kept: whether it is among the items all the same, with what can be read.
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
        """Describes a record that could not be read.

        Args:
            position: its place on the page, from 1.
            record: as the service sent it.
            error: what reading it raised: one of `READING_ERRORS`.
            email: returns the address that a record is about; by default its `email`.
        """
        return cls(position, shape_problem(error), _id(record), _address(record, email))

    def may_be(self, key: str) -> bool:
        """Whether the record is missing among the items, and may be about the person with this
        key (`guestlist.models.email_key`)."""
        return not self.kept and (self.email is None or email_key(self.email) == key)

    def __str__(self) -> str:
        named = f" (id {self.id})" if self.id is not None else ""
        return f"record {self.position}{named}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and where the next one starts. `Page.of` makes one from the records that
    a service sent.

    Attributes:
        items: in the service's order.
        next: what to pass as `cursor` for the next page; None at the end.
        total: how many records there are on all pages, where the service says so. A list that ends
            with fewer is incomplete, and nobody counts as absent from it.
        left_out: how many records of this page `items` leaves out, such as invited people in a list
            of members. They count toward `total`.
        cut_off: what to do about it, as a sentence, where the service may have ended its list here
            without saying that there is more. Then nobody can be told to be absent.
        moved: whether the list has shrunk, and this page was read from further ahead (`Offset`):
            it may hold the same as the one before.
        section: the part of the list that `total` counts, where one operation reads several lists
            of the service one after another.
        problems: records that cannot be read as they should be.

    Raises:
        TypeError: a cursor that is no text, a total that is no number.
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
        # often passed on as the service sent it
        for name, kind in (("next", str), ("total", int)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise TypeError(f"{name} of a page has to be {kind.__name__} or None: {value!r}")

    @property
    def records(self) -> int:
        """How many records the service sent for this page."""
        return len(self.items) + self.left_out

    def with_id(self, id: str) -> T:
        """Returns the item with this id, for a service whose only way to one record is its list.

        Raises:
            NotFound: there is none.
            MalformedResponse: a record that may be it cannot be read.
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
        """Reads the records of a page. One that cannot be read is skipped and becomes one of the
        page's `problems`: it does not keep the others from being read.

            reply = yield Request.get("members", query={"cursor": cursor})
            return Page.of(reply.records("members"), read_member, reply.mapping()["next"])

        Args:
            records: as the service sent them.
            read: reads one; returns None for a record that does not belong to the list.
            next: the cursor of the next page; see the attributes of the class, also for the others.
            total: how many records there are on all pages.
            cut_off: what to do if the service may have ended the list early.
            moved: whether the list has shrunk.
            section: the part of the list that `total` counts.
            email: returns the address that a record is about; by default its `email`.

        Raises:
            MalformedResponse: the service seems to have changed: no record has an address that can
                be read, and there are several, or one without even an id.
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
                reason = "it holds text that is not Unicode"
                whose, id = _address(record, email), _id(record)
                problems.append(RecordProblem(position, reason, id, whose, kept=item is not None))
            if item is not None:
                items.append(item)
        nameless = [one for one in problems if one.email is None and not one.kept]
        if records and len(nameless) == len(records) and (len(nameless) > 1 or not nameless[0].id):
            raise MalformedResponse(
                f"the answer has another shape than expected ({problems[0].reason})", hint=CHANGED
            )
        left_out = len(records) - len(items)
        return Page(items, next, total, cut_off, moved, left_out, section, tuple(problems))


def _address(record: Any, email: Callable[[Any], Any] | None) -> str | None:
    try:
        found = email(record) if email is not None else record["email"]
    except READING_ERRORS:
        return None
    return found if isinstance(found, str) and "@" in found else None


def _id(record: Any) -> str | None:
    for name in ("id", "uuid", "user_id") if isinstance(record, dict) else ():
        if isinstance(record.get(name), str | int):
            return str(record[name])
    return None


@dataclass(frozen=True, slots=True)
class Limit:
    """How many requests a service allows.

    Attributes:
        count: requests.
        per: seconds.
    """

    count: int
    per: float = 1.0
