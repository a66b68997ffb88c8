"""Logs, metrics and spans of every process."""

import asyncio
import itertools
import logging
import random
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from prometheus_client import REGISTRY, Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from shared.runtime import context as calls
from shared.runtime.context import CallContext
from shared.runtime.errors import PlatformError

# Slow calls and failures are always logged; of the others this part, since a line a call costs a quarter of the calls.
SLOW_S = 0.5
SAMPLED = 0.001

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(slots=True)
class _Ended:
    """Calls of one method that ended alike; by_bucket: those beyond the last bucket come last."""

    by_bucket: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))
    total_s: float = 0.0


class _Seconds(Collector):
    """How long calls took, by method and by how they ended; the count of them is the counter of calls.

    prometheus_client's own histogram, with a lock for each of its numbers, took 9 us a call. Here the event loop
    counts, and the thread of a scrape reads along.
    """

    def __init__(self) -> None:
        self._ended: dict[tuple[str, str], _Ended] = {}

    def of(self, method: str, code: str) -> _Ended:
        return self._ended.setdefault((method, code), _Ended())

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "center_rpc_seconds",
            "Time to serve an RPC, by how it ended; streams count when they end.",
            labels=["method", "code"],
        )
        for labels, ended in list(self._ended.items()):
            up_to = itertools.accumulate(ended.by_bucket)
            buckets = [(most, n) for most, n in zip((*map(str, _BUCKETS), "+Inf"), up_to, strict=True)]
            family.add_metric(labels, buckets, ended.total_s)
        yield family


_seconds = _Seconds()
REGISTRY.register(_seconds)

log = structlog.stdlib.get_logger("center.rpc")

Observer = Callable[[CallContext, float, BaseException | None], None]

# Where spans go; set where a collector is named.
_export: Callable[[CallContext, str, str, float], None] | None = None


def configure(process: str, *, log_format: str = "console", level: str = "info", otlp_endpoint: str = "") -> None:
    """Sets up logging and, when an endpoint is given, the export of spans. Called once, first thing in a process.

    process: its name in logs and spans, such as `cluster/eu-1`.
    log_format: console or json.
    otlp_endpoint: http://host:port of a collector that takes OTLP over HTTP (4318); empty exports nothing.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_call,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        # Plain tracebacks: the rich ones print local variables, and with them secrets.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info if log_format == "json" else _unchanged,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    structlog.contextvars.bind_contextvars(process=process)
    if otlp_endpoint:
        # Most processes have no collector, and what it takes to reach one is slow to import.
        from shared.runtime import spans

        global _export
        _export = spans.exporter(process, otlp_endpoint)


def _unchanged(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return event


def _with_call(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Adds the trace and the tenant of the call under way."""
    call = calls.current()
    if call.trace_id:
        event.setdefault("trace_id", call.trace_id)
    if call.tenant_id:
        event.setdefault("tenant_id", call.tenant_id)
    return event


def observer(method: str) -> Observer:
    """What is noted of every call of one method when it ends: a count by code, the time, a log line, a span."""
    seconds: dict[str, _Ended] = {}

    def observe(call: CallContext, began: float, error: BaseException | None) -> None:
        took_s = time.perf_counter() - began
        code = _code(error)
        ended_so = seconds.get(code)
        if ended_so is None:
            ended_so = seconds[code] = _seconds.of(method, code)
        ended_so.by_bucket[bisect_left(_BUCKETS, took_s)] += 1
        ended_so.total_s += took_s
        if error is not None or took_s > SLOW_S or random.random() < SAMPLED:
            _log(call, method, code, took_s, error)
        if _export is not None:
            _export(call, method, code, took_s)

    return observe


def _code(error: BaseException | None) -> str:
    if error is None:
        return "OK"
    if isinstance(error, PlatformError):
        return error.code
    return "CANCELLED" if isinstance(error, asyncio.CancelledError) else "INTERNAL"


def _log(call: CallContext, method: str, code: str, took_s: float, error: BaseException | None) -> None:
    facts: dict[str, Any] = {
        "method": method,
        "code": code,
        "caller": call.caller,
        "took_ms": round(took_s * 1000, 1),
        "request_id": call.request_id,
    }
    if isinstance(error, PlatformError) and code != "INTERNAL":
        log.info("call refused", reason=error.reason, message=error.message, **facts)
    elif code == "INTERNAL":
        log.error("call failed", exc_info=error, **facts)
    else:
        log.info("call", **facts)
