"""A connection on which more came than the answer must not be used again.

The bytes that are left over would be taken for the answer of the next request, and that one's for
the next but one: every call after it would be told somebody else's result. httpcore notices bytes
that are still in the socket, not those that it has read together with the answer.
"""

from __future__ import annotations

from typing import Any

_INWARDS = ("_stream", "_httpcore_stream", "_stream", "_connection")
"""From an answer's stream, through the layers of httpx and httpcore, to the connection. The first
is there where a client was brought."""


def retire_if_left_over(answer: Any) -> None:
    """Has httpcore close the connection of an answer, read to its end, after which more came.

    To be called before the answer is closed. Transports that are built otherwise are left alone.
    """
    part = answer.stream
    for name in _INWARDS:
        part = getattr(part, name, part)
    state = getattr(part, "_h11_state", None)
    if state is not None and state.trailing_data[0]:
        state.send_failed()  # httpcore keeps only connections whose both sides are done
