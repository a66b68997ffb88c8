"""What the server knows of a resource: a name, a type, a version that is the hash of its content, and bytes."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b

from envoy.service.discovery.v3 import discovery_pb2 as discovery
from google.protobuf.message import Message

_PREFIX = "type.googleapis.com/envoy.config."

CLUSTER = _PREFIX + "cluster.v3.Cluster"
ENDPOINTS = _PREFIX + "endpoint.v3.ClusterLoadAssignment"
LISTENER = _PREFIX + "listener.v3.Listener"
SCOPE = _PREFIX + "route.v3.ScopedRouteConfiguration"
ROUTES = _PREFIX + "route.v3.RouteConfiguration"

# What is pushed first: a route that reaches Envoy before its cluster answers 503.
ORDER = (CLUSTER, ENDPOINTS, LISTENER, SCOPE, ROUTES)

# As people and ListEdges name the types.
WORDS = {CLUSTER: "clusters", ENDPOINTS: "endpoints", LISTENER: "listeners", SCOPE: "scoped_routes", ROUTES: "routes"}


@dataclass(frozen=True, slots=True)
class Resource:
    type_url: str
    name: str
    # Equal content has an equal version in every process, so that a reconnect to any of them re-sends nothing.
    version: str
    # One `resources` entry of a DeltaDiscoveryResponse as it goes over the wire: every edge gets these bytes.
    wire: bytes
    # Clusters that an edge must have acknowledged before it may have this resource.
    needs: tuple[str, ...] = ()
    # Whom to tell when an edge refuses it; empty for what is no tenant's.
    tenant_id: str = ""

    def body(self) -> bytes:
        """The resource alone, for tests and explanations."""
        parsed = discovery.DeltaDiscoveryResponse.FromString(self.wire)
        return bytes(parsed.resources[0].resource.value)


def resource(type_url: str, name: str, body: bytes, needs: tuple[str, ...] = (), tenant_id: str = "") -> Resource:
    digest = blake2b(body, digest_size=9, person=b"center-xds").digest()
    version = urlsafe_b64encode(digest).decode()
    entry = discovery.Resource(name=name, version=version)
    entry.resource.type_url = type_url
    entry.resource.value = body
    wire = discovery.DeltaDiscoveryResponse(resources=[entry]).SerializeToString()
    return Resource(type_url, name, version, wire, needs, tenant_id)


def of(message: Message, name: str, needs: tuple[str, ...] = (), tenant_id: str = "") -> Resource:
    """A resource of a message of xds-protos, serialised once and always the same way."""
    type_url = f"type.googleapis.com/{message.DESCRIPTOR.full_name}"
    return resource(type_url, name, message.SerializeToString(deterministic=True), needs, tenant_id)
