"""Spans and metrics for OpenTelemetry, when its API is installed; otherwise nothing at all.

Each call of a verb is a span (`guestlist.invite`), and so is the reading of each page of a list;
each request within it is a client span after the HTTP semantic conventions. Metrics:
`http.client.request.duration` in seconds, `guestlist.wait.duration` in seconds by reason,
`guestlist.outcomes` by outcome. No attribute holds a secret or an address.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import urlsplit

from guestlist._version import __version__
from guestlist.event import Event

OF_THE_API = ("opentelemetry.trace", "opentelemetry.metrics")
"""Where the providers are from that do nothing, and stand there until the SDK's are set."""

_NOTHING: AbstractContextManager[Any] = nullcontext()


def telemetry(base_urls: Mapping[str, str]) -> Telemetry | None:
    """Who spans calls and watches events; None without OpenTelemetry.

    Args:
        base_urls: of the accounts, by name.
    """
    return Telemetry(base_urls) if importlib.util.find_spec("opentelemetry") else None


def no_span(_verb: str) -> AbstractContextManager[Any]:
    """What there is around a call when nobody wants to know."""
    return _NOTHING


class Telemetry:
    """Spans and metrics of one client.

    Attributes:
        wanted: whether anybody collects them, as was seen when the last call began. Where only the
            API is installed, spans that lead nowhere would take a tenth of a call's CPU.
    """

    def __init__(self, base_urls: Mapping[str, str]) -> None:
        from opentelemetry import metrics, trace

        self.wanted = False
        self._providers = (trace.get_tracer_provider, metrics.get_meter_provider)
        self._kinds = trace.SpanKind
        self._error = trace.Status(trace.StatusCode.ERROR)
        self._tracer = trace.get_tracer_provider().get_tracer("guestlist", __version__)
        meter = metrics.get_meter_provider().get_meter("guestlist", __version__)
        self._requests = meter.create_histogram("http.client.request.duration", "s")
        self._waits = meter.create_histogram("guestlist.wait.duration", "s")
        self._outcomes = meter.create_counter("guestlist.outcomes")
        self._base_urls = dict(base_urls)

    def span(self, verb: str) -> AbstractContextManager[Any]:
        """A span around one call of a verb."""
        if not self.wanted:
            self.wanted = any(
                not type(provider()).__module__.startswith(OF_THE_API)
                for provider in self._providers
            )
        if not self.wanted:
            return _NOTHING
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
