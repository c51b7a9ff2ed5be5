"""OpenTelemetry: what an operator sees of a call, and what is never there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from guestlist import Guestlist, GuestlistError
from guestlist_vultr import Vultr

SECRET = "TELEMETRY-SECRET-KEY"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[InMemorySpanExporter, Any]]:
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    measuring = MeterProvider([reader])
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracing)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: measuring)
    yield spans, reader
    tracing.shutdown()
    measuring.shutdown()


def answer(request: httpx.Request) -> httpx.Response:
    if request.method == "POST":
        return httpx.Response(403, json={"error": f"no, not with {SECRET}", "status": 403})
    return httpx.Response(200, json={"invites": [], "users": []})


def test_a_call_is_a_span_and_its_requests_are_client_spans(seen: Any) -> None:
    spans, reader = seen
    transport = httpx.MockTransport(answer)
    with (
        Guestlist({"cloud": Vultr(api_key=SECRET)}, transport=transport) as guests,
        pytest.raises(GuestlistError),
    ):
        guests.invite("ada@example.com")

    *requests, call = spans.get_finished_spans()
    assert call.name == "guestlist.invite"
    assert call.status.status_code is trace.StatusCode.ERROR
    assert dict(call.attributes) == {"error.type": "Forbidden"}
    assert [span.name for span in requests] == ["GET", "GET", "POST"]
    assert {span.parent.span_id for span in requests} == {call.context.span_id}
    post = requests[-1]
    assert post.kind is trace.SpanKind.CLIENT
    assert dict(post.attributes) == {
        "guestlist.account": "cloud",
        "guestlist.provider": "vultr",
        "http.request.method": "POST",
        "server.address": "api.vultr.com",
        "server.port": 443,
        "http.response.status_code": 403,
        "error.type": "403",
        "url.full": "https://api.vultr.com/v2/invitation",
    }
    assert post.status.status_code is trace.StatusCode.ERROR
    assert requests[0].status.status_code is trace.StatusCode.UNSET

    everything = "".join(span.to_json() for span in spans.get_finished_spans())
    everything += reader.get_metrics_data().to_json()
    assert "http.client.request.duration" in everything
    assert SECRET not in everything
    assert "ada@" not in everything
    assert "ada%40" not in everything


def test_a_watcher_that_breaks_keeps_no_span_from_a_request(seen: Any) -> None:
    def broken(_: object) -> None:
        raise OSError("the disk is full")

    spans, _ = seen
    transport = httpx.MockTransport(answer)
    with Guestlist({"cloud": Vultr(api_key=SECRET)}, transport=transport, watch=broken) as guests:
        guests.status("ada@example.com")
    assert [span.name for span in spans.get_finished_spans()] == ["GET", "GET", "guestlist.status"]


def test_nothing_of_it_is_loaded_while_nobody_collects() -> None:
    told = after("guests.status('ada@example.com'); print('opentelemetry' in sys.modules)")
    assert told == "False\n"


def test_a_collector_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "sdk_tracer_provider")
    code = "sys.modules['opentelemetry'] = None; print(guests.status('ada@example.com').state)"
    assert after(code) == "gone\n"


def test_a_collector_may_be_set_up_after_the_client() -> None:
    code = """
guests.status("ada@example.com")
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
list(guests.members())
print(*(span.name for span in spans.get_finished_spans()))
"""
    assert after(code) == "GET guestlist.members guestlist.members\n"


def after(code: str) -> str:
    """What is printed by code that has a client, in a process of its own: providers are set once
    and for all."""
    beginning = """
import sys, httpx
from guestlist import Guestlist
from guestlist_vultr import Vultr
answer = httpx.Response(200, json={"users": [], "invites": []})
transport = httpx.MockTransport(lambda request: answer)
guests = Guestlist({"cloud": Vultr(api_key="a-key")}, transport=transport)
"""
    program = [sys.executable, "-c", f"{beginning}\n{code}\nguests.close()"]
    return subprocess.run(program, capture_output=True, text=True, check=True).stdout
