"""A delta xDS client as a state machine: it holds what it is told, refuses what it is told to, and can come back."""

from collections.abc import Iterable

from envoy.service.discovery.v3 import discovery_pb2 as discovery

from edge.xds.resources import CLUSTER, ENDPOINTS, LISTENER, ORDER, ROUTES, SCOPE
from edge.xds.served import Served
from edge.xds.stream import Stream

Request = discovery.DeltaDiscoveryRequest
Response = discovery.DeltaDiscoveryResponse


class Client:
    """`held` is type -> name -> version; a resource whose (name, version) is in `refuses` is bad."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.held: dict[str, dict[str, str]] = {type_url: {} for type_url in ORDER}
        self.wanted: dict[str, set[str]] = {ENDPOINTS: set(), ROUTES: set()}
        self.refuses: set[tuple[str, str]] = set()
        self.received: list[Response] = []
        self.stream = Stream(served, lambda: None)

    def connect(self, *, anew: bool = False) -> None:
        """A new stream, on which the client says what it holds, as Envoy does; anew, it was started again too."""
        if anew:
            self.held = {type_url: {} for type_url in ORDER}
        self.stream.close()
        self.stream = Stream(self.served, lambda: None)
        for type_url in (CLUSTER, ENDPOINTS, LISTENER, SCOPE, ROUTES):
            names = self.wanted.get(type_url)
            if names is not None and not names:
                continue
            self.stream.receive(
                Request(
                    type_url=type_url,
                    resource_names_subscribe=sorted(names or ()),
                    initial_resource_versions=self.held[type_url],
                )
            )

    def want(self, type_url: str, *names: str) -> None:
        self.wanted[type_url] |= set(names)
        self.stream.receive(Request(type_url=type_url, resource_names_subscribe=names))

    def unwant(self, type_url: str, *names: str) -> None:
        self.wanted[type_url] -= set(names)
        for name in names:
            self.held[type_url].pop(name, None)
        self.stream.receive(Request(type_url=type_url, resource_names_unsubscribe=names))

    def read(self) -> list[Response]:
        """What the server has to say now; nothing is answered."""
        responses = [Response.FromString(raw) for raw in self.stream.responses()]
        self.received += responses
        return responses

    def answer(self, response: Response) -> None:
        """Applies a response as Envoy does: in order, up to the first bad resource."""
        held = self.held[response.type_url]
        reason = ""
        for resource in response.resources:
            if (resource.name, resource.version) in self.refuses:
                reason = f"{resource.name} is bad"
                break
            held[resource.name] = resource.version
        else:
            for name in response.removed_resources:
                held.pop(name, None)
        request = Request(type_url=response.type_url, response_nonce=response.nonce)
        if reason:
            request.error_detail.message = reason
        self.stream.receive(request)

    def settle(self) -> list[Response]:
        """Reads and answers until the server has nothing more to say."""
        seen: list[Response] = []
        while responses := self.read():
            seen += responses
            for response in responses:
                self.answer(response)
        return seen

    @staticmethod
    def names(responses: Iterable[Response], type_url: str) -> list[str]:
        return [
            resource.name for response in responses if response.type_url == type_url for resource in response.resources
        ]
