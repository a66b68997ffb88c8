"""Spans of the calls that a process has served, for a collector that takes OTLP over HTTP."""

import time
from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import StatusCode

from shared.runtime.context import CallContext


class _CallIds(IdGenerator):
    """Gives a span the ids that its call has carried to whomever it called."""

    def __init__(self) -> None:
        self.call = CallContext()

    def generate_trace_id(self) -> int:
        return int(self.call.trace_id, 16)

    def generate_span_id(self) -> int:
        return int(self.call.span_id, 16)


def exporter(process: str, endpoint: str) -> Callable[[CallContext, str, str, float], None]:
    """Exports a finished call as a span of its trace: the call, its method, how it ended, and the seconds it took."""
    ids = _CallIds()
    provider = TracerProvider(resource=Resource.create({"service.name": process}), id_generator=ids)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    tracer = provider.get_tracer("center.rpc")

    def export(call: CallContext, method: str, code: str, took_s: float) -> None:
        if not call.trace_id:
            return
        parent = None
        if call.parent_id:
            remote = SpanContext(int(call.trace_id, 16), int(call.parent_id, 16), True, TraceFlags(TraceFlags.SAMPLED))
            parent = trace.set_span_in_context(NonRecordingSpan(remote))
        end_ns = time.time_ns()
        ids.call = call
        span = tracer.start_span(
            method,
            context=parent,
            kind=SpanKind.SERVER,
            start_time=end_ns - round(took_s * 1e9),
            attributes={
                "rpc.method": method,
                "rpc.code": code,
                "center.caller": call.caller,
                "center.tenant": call.tenant_id,
            },
        )
        if code not in ("OK", "CANCELLED"):
            span.set_status(StatusCode.ERROR, code)
        span.end(end_ns)

    return export
