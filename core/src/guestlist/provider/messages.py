"""What a flow yields and receives: requests, responses, pages. Plain data, no I/O."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Self, TypeVar

from pydantic import SecretStr
from pydantic_core import from_json

from guestlist.errors import InvalidOrder, MalformedResponse

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
        """The body as JSON.

        Raises:
            MalformedResponse: it is not JSON.
        """
        try:
            return from_json(self.content, cache_strings="keys")  # only these come again
        except ValueError as error:
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
        data = self.json()
        if isinstance(data, dict):
            found = [data[name] for name in names if name in data]
            data = found[0] if found else None
        if isinstance(data, list) and set(map(type, data)) <= {dict}:
            return data
        raise MalformedResponse(
            f"the answer has no list of {names[0] if names else 'items'}", status=self.status
        )


def _json_type(data: object) -> str:
    names = {list: "list", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(data), "number")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and where the next one starts.

    Attributes:
        items: in the service's order.
        next: what to pass as `cursor` for the next page; None at the end.
        total: how many records there are on all pages, where the service says so.
        left_out: how many records of this page `items` leaves out, such as invited people in a list
            of members. They count toward `total`.
        cut_off: what to do about it, as a sentence, where the service may have ended its list here
            without saying that there is more. Then nobody can be told to be absent.
        moved: whether the list has shrunk, and this page was read from further ahead (`Offset`):
            it may hold the same as the one before.

    Raises:
        TypeError: a cursor that is no text, a total that is no number.
    """

    items: Sequence[T]
    next: str | None = None
    total: int | None = None
    cut_off: str | None = None
    moved: bool = False
    left_out: int = 0

    def __post_init__(self) -> None:
        # often passed on as the service sent it
        for name, kind in (("next", str), ("total", int)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise TypeError(f"{name} of a page has to be {kind.__name__} or None: {value!r}")


@dataclass(frozen=True, slots=True)
class Limit:
    """How many requests a service allows.

    Attributes:
        count: requests.
        per: seconds.
    """

    count: int
    per: float = 1.0
