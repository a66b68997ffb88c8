"""What the contract says of each method: who may call it, in which tenant, with which effect."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from center.shared.v1 import rules_pb2
from center.shared.v1.rules_pb2 import (
    CALLER_CLUSTER,
    CALLER_CONTROL,
    CALLER_CUSTOMER,
    CALLER_EDGE,
    CALLER_ENVOY,
    CALLER_MERCHANT,
    CALLER_OPERATOR,
    CALLER_SHOPPER,
    STAFF_ROLE_READ_ONLY,
    STAFF_ROLE_STAFF,
    STAFF_ROLE_UNSPECIFIED,
)


@dataclass(frozen=True, slots=True)
class Rules:
    """The center.shared.v1.MethodRules of one method. role: the least StaffRole that a merchant needs."""

    callers: frozenset[int]
    needs_tenant: bool = False
    mutates: bool = False
    idempotent: bool = False
    not_audited_because: str = ""
    role: int = STAFF_ROLE_UNSPECIFIED

    @property
    def is_recorded(self) -> bool:
        """Whether every change that the method makes has an audit entry."""
        return self.mutates and not self.not_audited_because


_INSIDE = frozenset({CALLER_OPERATOR, CALLER_CONTROL, CALLER_CLUSTER, CALLER_EDGE})
_OPERATOR = frozenset({CALLER_OPERATOR})
_ANYONE = _INSIDE | {CALLER_SHOPPER, CALLER_CUSTOMER, CALLER_MERCHANT, CALLER_ENVOY}

_OPERATIONS = "google.longrunning.Operations"

# Standard services, whose contracts are not ours to annotate. A service is a whole, or a method of one.
STANDARD: Mapping[str, Rules] = {
    "grpc.health.v1.Health": Rules(_ANYONE, idempotent=True),
    "grpc.reflection.v1alpha.ServerReflection": Rules(_INSIDE, idempotent=True),
    "grpc.channelz.v1.Channelz": Rules(_OPERATOR, idempotent=True),
    f"{_OPERATIONS}/ListOperations": Rules(_OPERATOR, idempotent=True),
    f"{_OPERATIONS}/GetOperation": Rules(_OPERATOR, idempotent=True),
    f"{_OPERATIONS}/WaitOperation": Rules(_OPERATOR, idempotent=True),
    f"{_OPERATIONS}/CancelOperation": Rules(_OPERATOR, mutates=True, idempotent=True),
    f"{_OPERATIONS}/DeleteOperation": Rules(_OPERATOR, mutates=True, idempotent=True),
    "flagd.sync.v1.FlagSyncService": Rules(frozenset({CALLER_OPERATOR, CALLER_CLUSTER, CALLER_EDGE}), idempotent=True),
    "envoy.service.discovery.v3.AggregatedDiscoveryService": Rules(frozenset({CALLER_ENVOY}), idempotent=True),
    "envoy.service.auth.v3.Authorization": Rules(
        frozenset({CALLER_ENVOY}),
        mutates=True,
        not_audited_because="it decides, and the decision log of the control plane has what was decided and counted",
    ),
}


class RulesMissing(Exception):
    """A method that no rule covers; the process must not start."""


def of(method: MethodDescriptor) -> Rules:
    """The rules of a method: from its options, or from the table of standard services."""
    service = method.containing_service
    options = method.GetOptions()
    extension: Any = rules_pb2.rules  # its stub does not say that it is an extension of MethodOptions
    if options.HasExtension(extension):
        rules: rules_pb2.MethodRules = options.Extensions[extension]
        if not rules.callers or rules.tenant == rules_pb2.TENANT_CONTEXT_UNSPECIFIED:
            raise RulesMissing(f"{service.full_name}/{method.name}: rules need callers and tenant")
        if rules.role and CALLER_MERCHANT not in rules.callers:
            raise RulesMissing(f"{service.full_name}/{method.name}: a role, and no merchant who could have it")
        return Rules(
            callers=frozenset(rules.callers),
            needs_tenant=rules.tenant == rules_pb2.TENANT_CONTEXT_REQUIRED,
            mutates=rules.mutates,
            idempotent=rules.idempotent,
            not_audited_because=rules.not_audited_because,
            role=rules.role or (STAFF_ROLE_STAFF if rules.mutates else STAFF_ROLE_READ_ONLY),
        )
    standard = STANDARD.get(f"{service.full_name}/{method.name}") or STANDARD.get(service.full_name)
    if standard is None:
        raise RulesMissing(f"{service.full_name}/{method.name} says nowhere who may call it")
    return standard


def of_service(service: ServiceDescriptor) -> dict[str, Rules]:
    """The rules of every method of a service, by the method's name."""
    return {method.name: of(method) for method in service.methods}
