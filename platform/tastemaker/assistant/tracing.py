"""OpenTelemetry traces of turns: one span a turn, one below it for each decision and tool.

Spans go to run/traces/<date>.jsonl in the home, and by OTLP where OTEL_EXPORTER_OTLP_ENDPOINT
names a collector. A client's `traceparent` header is continued. Spans carry counts, names and
milliseconds; never a user's words or an item's text.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic_core import to_json

from tastemaker import __version__

_KEEP_FILES = 14
# headers of the turn that a request to a server is made for
OUTGOING: ContextVar[Mapping[str, str] | None] = ContextVar("outgoing", default=None)
_EVERY_MS, _AT_ONCE = 200, 64  # small batches: one of 512 would hold up turns for 100 ms
_PROPAGATOR = TraceContextTextMapPropagator()


def outgoing() -> Mapping[str, str]:
    """Headers of a request to a server: its spans become part of the turn's trace."""
    return OUTGOING.get() or {}


class Tracing:
    """Where spans go.

    Args:
        folder: Of the files.
        at_once: Write each span as it ends (tests) instead of in batches.
    """

    def __init__(self, folder: Path, *, at_once: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.glob("*.jsonl"))[:-_KEEP_FILES]:
            old.unlink()
        path = folder / f"{time.strftime('%Y-%m-%d', time.gmtime())}.jsonl"
        self.file = path.open("ab")
        self.provider = TracerProvider(
            resource=Resource.create(
                {"service.name": "tastemaker-assistant", "service.version": __version__}
            )
        )
        exporter = _Lines(self.file)
        self.provider.add_span_processor(
            SimpleSpanProcessor(exporter)
            if at_once
            else BatchSpanProcessor(
                exporter, schedule_delay_millis=_EVERY_MS, max_export_batch_size=_AT_ONCE
            )
        )
        if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer = self.provider.get_tracer("tastemaker.assistant", __version__)

    def turn(self, headers: Mapping[str, str] | None = None) -> "TurnTrace":
        """Begin the span of a turn, below the client's own where its headers name one."""
        parent = _PROPAGATOR.extract(dict(headers or {}))
        return TurnTrace(self, self.tracer.start_span("turn", parent, SpanKind.SERVER))

    def close(self) -> None:
        """Write what is left."""
        self.provider.shutdown()
        self.file.close()


class _Lines(SpanExporter):
    """Writes a span a line, as OpenTelemetry's own JSON without what is the same in each.

    Args:
        file: Where to.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write a batch."""
        self.file.write(b"".join(to_json(_line(span)) + b"\n" for span in spans))
        self.file.flush()
        return SpanExportResult.SUCCESS


def _line(span: ReadableSpan) -> dict[str, Any]:
    context, parent = span.context, span.parent
    assert context is not None
    return {
        "name": span.name,
        "context": {
            "trace_id": f"0x{trace.format_trace_id(context.trace_id)}",
            "span_id": f"0x{trace.format_span_id(context.span_id)}",
        },
        "parent_id": f"0x{trace.format_span_id(parent.span_id)}" if parent else None,
        "start_ns": span.start_time,
        "end_ns": span.end_time,
        "status": {"status_code": span.status.status_code.name},
        "attributes": dict(span.attributes or {}),
    }


class TurnTrace:
    """The spans of one turn."""

    def __init__(self, tracing: Tracing, span: Any) -> None:
        self.tracing, self.span = tracing, span
        self.context = trace.set_span_in_context(span)

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return trace.format_trace_id(self.span.get_span_context().trace_id)

    def headers(self) -> dict[str, str]:
        """Headers that make a server's spans part of this trace."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, self.context)
        return carrier

    @contextmanager
    def part(self, name: str, **attributes: str | int | float | bool) -> Iterator[Span]:
        """A span below the turn's."""
        span = self.tracing.tracer.start_span(name, self.context, attributes=attributes)
        try:
            yield span  # type: ignore[misc]
        except BaseException as error:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            span.end()

    def end(self, status: str, attributes: Mapping[str, str | int] | None = None) -> None:
        """End the turn's span."""
        self.span.set_attributes({"turn.status": status, **(attributes or {})})
        if status != "done":
            self.span.set_status(StatusCode.ERROR, status)
        self.span.end()
