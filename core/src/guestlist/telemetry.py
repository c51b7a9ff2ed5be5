"""Spans and metrics for OpenTelemetry, when its API is installed; otherwise nothing at all.

Each call of a verb is a span (`guestlist.invite`), each request within it a client span after the
HTTP semantic conventions. Metrics: `http.client.request.duration` in seconds,
`guestlist.wait.duration` in seconds by reason, `guestlist.outcomes` by outcome. No attribute holds
a secret or an address.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import urlsplit

from guestlist._version import __version__
from guestlist.event import Event

Span = Callable[[str], AbstractContextManager[Any]]


def telemetry(base_urls: Mapping[str, str]) -> tuple[Span, Callable[[Event], None] | None]:
    """How to span a call, and who watches events; the second is None without OpenTelemetry.

    Args:
        base_urls: of the accounts, by name.
    """
    if importlib.util.find_spec("opentelemetry") is None:
        return lambda _verb: nullcontext(), None
    watching = _Telemetry(base_urls)
    return watching.span, watching


class _Telemetry:
    def __init__(self, base_urls: Mapping[str, str]) -> None:
        from opentelemetry import metrics, trace

        self._kinds = trace.SpanKind
        self._error = trace.Status(trace.StatusCode.ERROR)
        self._tracer = trace.get_tracer("guestlist", __version__)
        meter = metrics.get_meter("guestlist", __version__)
        self._requests = meter.create_histogram("http.client.request.duration", "s")
        self._waits = meter.create_histogram("guestlist.wait.duration", "s")
        self._outcomes = meter.create_counter("guestlist.outcomes")
        self._base_urls = dict(base_urls)

    def span(self, verb: str) -> AbstractContextManager[Any]:
        """A span around one call of a verb."""
        return self._tracer.start_as_current_span(f"guestlist.{verb}")

    def __call__(self, event: Event) -> None:
        about = {"guestlist.account": event.account, "guestlist.provider": event.provider}
        if event.name in ("answer", "failure") and event.method:
            self._request(event, about)
        elif event.name in ("pace", "retry") and event.seconds:
            self._waits.record(event.seconds, {**about, "guestlist.reason": event.name})
        elif event.name == "outcome":
            # a role's name may follow the outcome: it does not belong into a metric
            word = (event.detail or "").partition(" ")[0]
            self._outcomes.add(1, {**about, "guestlist.outcome": word})

    def _request(self, event: Event, about: dict[str, str]) -> None:
        """A span for a request that is over: it is told when it began and when it ended."""
        ended = time.time_ns()
        base_url = self._base_urls[event.account]
        parts = urlsplit(base_url)
        measured: dict[str, Any] = {
            "http.request.method": event.method,
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
        }
        if event.status:
            measured["http.response.status_code"] = event.status
        failed = event.name == "failure" or (event.status or 0) >= 400
        if failed:
            measured["error.type"] = str(event.status or "no_answer")
        resends = (event.attempt or 1) - 1
        span = self._tracer.start_span(
            event.method or "HTTP",
            kind=self._kinds.CLIENT,
            start_time=ended - int((event.seconds or 0.0) * 1e9),
            attributes={**about, **measured, "url.full": f"{base_url}{event.path}"},
        )
        if resends:
            span.set_attribute("http.request.resend_count", resends)
        if failed:
            span.set_status(self._error)
        span.end(end_time=ended)
        self._requests.record(event.seconds or 0.0, measured)
