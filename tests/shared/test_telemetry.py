"""Spans, metrics and log lines of a real server, read where operators read them."""

import asyncio
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

# Serves EdgeService in a process of its own, since telemetry is configured once in a process, and calls itself:
# ExplainRoute("relay") calls ExplainRoute("leaf"), ListEdges fails.
PROGRAM = """
import asyncio, sys, urllib.request
from pathlib import Path
import grpc
from center.edge.v1 import edge_service_pb2 as pb, edge_service_pb2_grpc as pb_grpc
from shared.runtime import pki, telemetry
from shared.runtime.rpc.channel import connect
from shared.runtime.rpc.server import Service, serving

home, endpoint, log_format = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
telemetry.configure("edge", log_format=log_format, otlp_endpoint=endpoint)

class Edge:
    async def ExplainRoute(self, request, context):
        if request.host == "relay":
            await self.stub.ExplainRoute(pb.ExplainRouteRequest(host="leaf"))
        return pb.ExplainRouteResponse()

    async def ListEdges(self, request, context):
        secret = "hunter2"
        raise RuntimeError("broken")

async def main():
    edge = Edge()
    service = Service(edge, pb.DESCRIPTOR.services_by_name["EdgeService"])
    async with serving([service], address="127.0.0.1:0", identity=pki.load(home, "edge"),
                       metrics_address="127.0.0.1:0") as server:
        async with connect(f"127.0.0.1:{server.port}", pki.load(home, "operator"), server="edge") as channel:
            edge.stub = stub = pb_grpc.EdgeServiceStub(channel)
            trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            await stub.ExplainRoute(pb.ExplainRouteRequest(host="relay"), metadata=(("traceparent", trace),))
            try:
                await stub.ListEdges(pb.ListEdgesRequest())
            except grpc.aio.AioRpcError:
                pass
            url = f"http://127.0.0.1:{server.metrics_port}/metrics"
            print(await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode()))

asyncio.run(main())
"""


class Collector:
    """Takes OTLP over HTTP, as a collector does."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                outer.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self) -> list[dict[str, str]]:
        return [
            span
            for body in self.bodies
            for resource in json.loads(body)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]


async def run(home: Path, endpoint: str, log_format: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, str(home), endpoint, log_format]
    return await asyncio.to_thread(
        lambda: subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    )


async def test_spans_meet_in_one_trace_as_parent_and_child(home):
    collector = Collector()
    await run(home, collector.endpoint, "json")
    collector.server.shutdown()
    ours = [span for span in collector.spans() if span["traceId"].lower() == "4bf92f3577b34da6a3ce929d0e0e4736"]
    by_parent = {span["parentSpanId"].lower(): span for span in ours}
    relay = by_parent["00f067aa0ba902b7"]
    leaf = by_parent[relay["spanId"].lower()]
    assert {relay["name"], leaf["name"]} == {"center.edge.v1.EdgeService/ExplainRoute"}
    assert len(ours) == 2


async def test_a_failure_is_counted_timed_and_logged_with_its_trace_and_no_secrets(home):
    done = await run(home, "", "json")
    assert 'center_rpc_seconds_count{code="INTERNAL",method="center.edge.v1.EdgeService/ListEdges"} 1.0' in done.stdout
    assert 'center_rpc_seconds_count{code="OK",method="center.edge.v1.EdgeService/ExplainRoute"} 2.0' in done.stdout
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    [failure] = [line for line in lines if line["event"] == "call failed"]
    assert failure["method"] == "center.edge.v1.EdgeService/ListEdges"
    assert failure["caller"] == "operator"
    assert len(failure["trace_id"]) == 32
    assert "RuntimeError: broken" in failure["exception"]


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_a_traceback_in_the_log_tells_no_local_variables(home, log_format):
    done = await run(home, "", log_format)
    assert "RuntimeError: broken" in done.stderr
    assert "hunter2" not in done.stderr.replace('secret = "hunter2"', "")
