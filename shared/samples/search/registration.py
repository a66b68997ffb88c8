"""What makes this application a solution of the marketplace: data, in solution.json."""

import json
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from center.control.v1 import solution_service_pb2 as pb

ID = "search"
PORT = 7400
ENVOY_PORT = 8080
_FILE = Path(__file__).with_name("solution.json")
_ZONE = "center.localhost"


def solution(zone: str = _ZONE, offset: int = 0, upstream_host: str = "127.0.0.1") -> pb.Solution:
    """As it is registered with a platform whose zone, or ports, are not the default ones."""
    told: dict[str, Any] = json.loads(_FILE.read_text().replace(_ZONE, zone))
    text = json.dumps(told).replace(f":{ENVOY_PORT}/", f":{ENVOY_PORT + offset}/")
    made = json_format.Parse(text, pb.Solution())
    made.gateway.upstream_host, made.gateway.upstream_port = upstream_host, PORT + offset
    return made
