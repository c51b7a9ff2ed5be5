"""Spans and metrics for OpenTelemetry, when somebody collects them; otherwise nothing at all.

Each call of a verb is a span (`guestlist.invite`), and so is the reading of each page of a list;
each request within it is a client span after the HTTP semantic conventions. Metrics:
`http.client.request.duration` in seconds, `guestlist.wait.duration` in seconds by reason,
`guestlist.outcomes` by outcome. No attribute holds a secret or an address.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from urllib.parse import urlsplit

from guestlist._version import __version__
from guestlist.event import Event

MODULES = ("opentelemetry.trace", "opentelemetry.metrics")
"""Of the API. The providers that they bring do nothing, and stand there until others are set."""
VARIABLES = ("OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER")
"""What names, in the environment, the providers that the API is to load by itself."""

_NOTHING: AbstractContextManager[Any] = nullcontext()


class Telemetry:
    """Spans and metrics of one client.

    Attributes:
        wanted: whether anybody collects them, as was seen when the last call began. Where only the
            API is installed, spans that lead nowhere would take a tenth of a call's CPU.

    Args:
        base_urls: of the accounts, by name.
    """

    def __init__(self, base_urls: Mapping[str, str]) -> None:
        self.wanted = False
        self._base_urls = dict(base_urls)

    def span(self, verb: str) -> AbstractContextManager[Any]:
        """A span around one call of a verb."""
        if not self.wanted and _is_set_up():
            self._begin()
        if not self.wanted:
            return _NOTHING
        return self._spanned(verb)

    @contextmanager
    def _spanned(self, verb: str) -> Iterator[None]:
        # what an error says names the address: of an exception only its class is told
        with self._tracer.start_as_current_span(
            f"guestlist.{verb}", record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(self._error)
                raise

    def _begin(self) -> None:
        from opentelemetry import metrics, trace

        self._kinds = trace.SpanKind
        self._error = trace.Status(trace.StatusCode.ERROR)
        self._tracer: Any = trace.get_tracer_provider().get_tracer("guestlist", __version__)
        meter = metrics.get_meter_provider().get_meter("guestlist", __version__)
        self._requests = meter.create_histogram("http.client.request.duration", "s")
        self._waits = meter.create_histogram("guestlist.wait.duration", "s")
        self._outcomes = meter.create_counter("guestlist.outcomes")
        self.wanted = True

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


def _is_set_up() -> bool:
    """Whether anybody has set a provider. Without the API being imported nobody can have."""
    if not any(name in sys.modules for name in MODULES) and not any(map(os.environ.get, VARIABLES)):
        return False
    try:
        from opentelemetry import metrics, trace
    except ImportError:
        return False
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider())
    return not all(type(one).__module__.startswith(MODULES) for one in providers)
