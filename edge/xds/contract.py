"""What the edge reads out of the contracts: which services speak JSON, which methods write, which run long."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from google.api import annotations_pb2, http_pb2
from google.protobuf import any_pb2, descriptor_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

import center
from center.shared.v1 import rules_pb2

# The packages whose services a shop's cluster serves.
OF_SHOPS = ("center.dataplane.", "center.shared.")

OUTSIDERS = frozenset({rules_pb2.CALLER_SHOPPER, rules_pb2.CALLER_CUSTOMER, rules_pb2.CALLER_MERCHANT})

# Its stub does not say that it is an extension of MethodOptions.
_RULES: Any = rules_pb2.rules


@dataclass(frozen=True)
class Contract:
    """Derived from a FileDescriptorSet, so that a new method needs no word here."""

    image: descriptor_pb2.FileDescriptorSet

    @cached_property
    def json_services(self) -> tuple[str, ...]:
        """Full names of the services with at least one google.api.http binding."""
        return tuple(
            sorted({service for service, method in self._methods if method.options.HasExtension(annotations_pb2.http)})
        )

    @cached_property
    def mutating_paths(self) -> tuple[str, ...]:
        """Paths of the data plane's methods that outsiders may call and that write: read-only tenants refuse them."""
        return self._paths(lambda method, rules: rules.mutates)

    @cached_property
    def streaming_paths(self) -> tuple[str, ...]:
        """Paths of the data plane's methods that outsiders may call and that have no natural end."""
        return self._paths(lambda method, rules: method.client_streaming or method.server_streaming)

    @cached_property
    def file_paths(self) -> tuple[str, ...]:
        """Those of streaming_paths whose answer is a file as it is, and not a message."""
        return self._paths(lambda method, _: method.server_streaming and method.output_type == ".google.api.HttpBody")

    @cached_property
    def page_services(self) -> tuple[str, ...]:
        """What the paths of a service of the data plane begin with whose every answer is a page for a browser."""
        answers: dict[str, set[bool]] = {}
        for service, method in self._methods:
            is_page = method.output_type == ".google.api.HttpBody" and not method.server_streaming
            answers.setdefault(service, set()).add(is_page)
        return tuple(sorted(f"/{name}/" for name, of in answers.items() if name.startswith(OF_SHOPS) and of == {True}))

    @cached_property
    def watch_paths(self) -> tuple[str, ...]:
        """Paths of the control plane's methods that solutions may call and that have no natural end."""
        return tuple(
            sorted(
                f"/{service}/{method.name}"
                for service, method in self._methods
                if service.startswith("center.control.")
                and rules_pb2.CALLER_SOLUTION in method.options.Extensions[_RULES].callers
                and (method.client_streaming or method.server_streaming)
            )
        )

    @cached_property
    def descriptors(self) -> bytes:
        """A FileDescriptorSet for Envoy's transcoder: no comments, and the types that typed errors are made of."""
        slim = descriptor_pb2.FileDescriptorSet()
        for file in self.image.file:
            copy = slim.file.add()
            copy.CopyFrom(file)
            copy.ClearField("source_code_info")
            for service in copy.service:
                for method in service.method:
                    _answer_head(method.options.Extensions[annotations_pb2.http])
        known = {file.name for file in slim.file}
        for module in (any_pb2, duration_pb2, status_pb2, error_details_pb2):
            if module.DESCRIPTOR.name not in known:
                module.DESCRIPTOR.CopyToProto(slim.file.add())
        return slim.SerializeToString(deterministic=True)

    def _paths(
        self, wanted: Callable[[descriptor_pb2.MethodDescriptorProto, rules_pb2.MethodRules], bool]
    ) -> tuple[str, ...]:
        found = []
        for service, method in self._methods:
            rules: rules_pb2.MethodRules = method.options.Extensions[_RULES]
            if OUTSIDERS & set(rules.callers) and service.startswith(OF_SHOPS) and wanted(method, rules):
                found.append(f"/{service}/{method.name}")
        return tuple(sorted(found))

    @cached_property
    def _methods(self) -> list[tuple[str, descriptor_pb2.MethodDescriptorProto]]:
        return [
            (f"{file.package}.{service.name}", method)
            for file in self.image.file
            if file.package.startswith("center.")
            for service in file.service
            for method in service.method
        ]


def _answer_head(binding: http_pb2.HttpRule) -> None:
    """Whatever answers GET answers HEAD (RFC 9110, 9.3.2); that the body stays here is the listener's matter."""
    for path in [rule.get for rule in (binding, *binding.additional_bindings) if rule.get]:
        binding.additional_bindings.add(custom={"kind": "HEAD", "path": path})


def load() -> Contract:
    """The contract this project was built with."""
    path = Path(center.__file__).with_name("image.binpb")
    return Contract(descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()))
