"""Spans and metrics for OpenTelemetry, if the application has set it up.

Each call of a verb is a span (`guestlist.invite`), and so is each page of a list. Each request is a
client span that follows the HTTP semantic conventions. Metrics: `http.client.request.duration` in
seconds, `guestlist.wait.duration` in seconds by reason, `guestlist.outcomes` by outcome. No
attribute contains a secret or an email address.
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
from guestlist.event import Event, EventName

MODULES = ("opentelemetry.trace", "opentelemetry.metrics")
"""Modules of the OpenTelemetry API. Their default tracer and meter providers do nothing."""
VARIABLES = ("OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER")
"""Environment variables that name the tracer and meter providers that the API loads itself."""

_NOTHING: AbstractContextManager[Any] = nullcontext()


class Telemetry:
    """Creates the spans and metrics of one client.

    Attributes:
        wanted: whether a tracer or meter provider is set up, checked at the beginning of each call
            until there is one. Without this check, unused spans would take a tenth of the CPU time
            of a call.

    Args:
        base_urls: base URL of each account, by the account's name.
    """

    def __init__(self, base_urls: Mapping[str, str]) -> None:
        self.wanted = False
        self._base_urls = dict(base_urls)

    def span(self, verb: str) -> AbstractContextManager[Any]:
        """Returns a context manager that wraps one call of a verb in a span."""
        if not self.wanted and _is_set_up():
            self._begin()
        if not self.wanted:
            return _NOTHING
        return self._spanned(verb)

    @contextmanager
    def _spanned(self, verb: str) -> Iterator[None]:
        # Only the class of an error is recorded, because its message may contain an address.
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
        if event.name in (EventName.ANSWER, EventName.FAILURE) and event.method:
            self._request(event, about)
        elif event.name in (EventName.PACE, EventName.RETRY) and event.seconds:
            self._waits.record(event.seconds, {**about, "guestlist.reason": event.name.value})
        elif event.name is EventName.OUTCOME:
            # A role's name may follow the outcome. It is cut off to keep the metric's values few.
            word = (event.detail or "").partition(" ")[0]
            self._outcomes.add(1, {**about, "guestlist.outcome": word})

    def _request(self, event: Event, about: dict[str, str]) -> None:
        """Records a finished request as a span and in the metric, with its start and end time."""
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
        failed = event.name is EventName.FAILURE or (event.status or 0) >= 400
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
    """Returns whether the application has set a tracer or meter provider.

    False if the API was not imported, because a provider cannot be set without it.
    """
    if not any(name in sys.modules for name in MODULES) and not any(map(os.environ.get, VARIABLES)):
        return False
    try:
        from opentelemetry import metrics, trace
    except ImportError:
        return False
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider())
    return not all(type(one).__module__.startswith(MODULES) for one in providers)
