"""OpenTelemetry traces of turns: one span a turn, one below it for each decision and tool.

Spans go to run/traces/<date>.jsonl in the home, and by OTLP where OTEL_EXPORTER_OTLP_ENDPOINT
names a collector. A client's `traceparent` header is continued. Spans carry counts, names and
milliseconds; never a user's words or an item's text.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic_core import to_json

from tastemaker import __version__

_KEEP_FILES = 14
# headers of the turn that a request to a server is made for
OUTGOING: ContextVar[Mapping[str, str] | None] = ContextVar("outgoing", default=None)
_EVERY_MS, _AT_ONCE = 200, 64  # small batches: one of 512 would hold up turns for 100 ms
_AFTER_S = 0.02  # a reply is on its way by then
_PROPAGATOR = TraceContextTextMapPropagator()
_IDS, _UNSET = RandomIdGenerator(), Status()


def outgoing() -> Mapping[str, str]:
    """Headers of a request to a server: its spans become part of the turn's trace."""
    return OUTGOING.get() or {}


class Tracing:
    """Where spans go.

    Args:
        folder: Of the files.
    """

    def __init__(self, folder: Path) -> None:
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
        self.processors = [
            BatchSpanProcessor(
                _Lines(self.file), schedule_delay_millis=_EVERY_MS, max_export_batch_size=_AT_ONCE
            )
        ]
        if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            self.processors.append(BatchSpanProcessor(OTLPSpanExporter()))
        for processor in self.processors:
            self.provider.add_span_processor(processor)
        self.tracer = self.provider.get_tracer("tastemaker.assistant", __version__)
        self._waiting: list[Callable[[], None]] = []

    def turn(self, headers: Mapping[str, str] | None = None) -> "TurnTrace":
        """Begin the span of a turn, below the client's own where its headers name one."""
        parent = _PROPAGATOR.extract(dict(headers or {}))
        return TurnTrace(self, self.tracer.start_span("turn", parent, SpanKind.SERVER))

    def soon(self, make: Callable[[], None]) -> None:
        """Do what takes a millisecond, a turn's spans and counters, with its reply on its way."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            make()
            return
        self._waiting.append(make)
        if len(self._waiting) == 1:
            loop.call_later(_AFTER_S, self.settle)

    def settle(self) -> None:
        """Do now what waits to be done soon: whoever reads the counters wants all of it."""
        waiting, self._waiting = self._waiting, []
        for make in waiting:
            make()

    def close(self) -> None:
        """Write what is left."""
        self.settle()
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


@dataclass(slots=True)
class Part:
    """What becomes a span below a turn's; times in ns since 1970."""

    name: str
    attributes: dict[str, str | int | float | bool]
    start_ns: int = field(default_factory=time.time_ns)
    end_ns: int = 0
    error: str = ""

    def below(self, span: ReadableSpan) -> ReadableSpan:
        """It as a span that has ended: nothing of it is recorded any more."""
        parent = span.get_span_context()
        assert parent is not None
        return ReadableSpan(
            self.name,
            context=SpanContext(
                parent.trace_id, _IDS.generate_span_id(), False, parent.trace_flags
            ),
            parent=parent,
            resource=span.resource,
            attributes=self.attributes,
            status=Status(StatusCode.ERROR, self.error) if self.error else _UNSET,
            start_time=self.start_ns,
            end_time=self.end_ns,
            instrumentation_scope=span.instrumentation_scope,
        )


class TurnTrace:
    """The spans of one turn; its parts are noted as they end, and made with it."""

    def __init__(self, tracing: Tracing, span: Any) -> None:
        self.tracing, self.span = tracing, span
        self.context = trace.set_span_in_context(span)
        self.parts: list[Part] = []

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
    def part(self, name: str, **attributes: str | int | float | bool) -> Iterator[Part]:
        """Something that the turn does: a span below its own."""
        part = Part(name, attributes)
        try:
            yield part
        except BaseException as error:
            part.error = type(error).__name__
            raise
        finally:
            part.end_ns = time.time_ns()
            self.parts.append(part)

    def end(self, status: str, attributes: Mapping[str, str | int] | None = None) -> None:
        """End the turn's span."""
        end_ns = time.time_ns()

        def make() -> None:
            if not self.span.is_recording():  # the client's trace is not sampled
                return
            for part in self.parts:
                made = part.below(self.span)
                for processor in self.tracing.processors:
                    processor.on_end(made)
            self.span.set_attributes({"turn.status": status, **(attributes or {})})
            if status != "done":
                self.span.set_status(StatusCode.ERROR, status)
            self.span.end(end_ns)

        self.tracing.soon(make)
