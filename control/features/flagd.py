"""flagd's sync protocol: stock flagd SDKs read a tenant's boolean and configuration features here."""

import json
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc

from center.flagd.sync.v1 import sync_pb2 as pb
from center.flagd.sync.v1 import sync_pb2_grpc as pb_grpc
from control.catalog.memory import Catalog, draining
from control.features.domain import Effective, FeatureSet
from control.features.memory import Features
from control.features.values import Quota, RateLimit, Setting
from shared.runtime.errors import InvalidArgument, NotFound
from shared.runtime.ids import is_uuid

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

SCHEMA = "https://flagd.dev/schema/v0/flags.json"
SELECTOR = "flagd-selector"


class FlagSyncService(pb_grpc.FlagSyncServiceServicer):
    def __init__(self, catalog: Catalog, features: Features) -> None:
        self._catalog = catalog
        self._features = features

    async def SyncFlags(self, request: pb.SyncFlagsRequest, context: Context) -> AsyncIterator[pb.SyncFlagsResponse]:
        tenant_id = self._tenant_id(request.selector, context)
        feed = self._features.subscribe("", [tenant_id], {})
        told = ""
        try:
            while not feed.closed:
                feed.wake.clear()
                # What exactly changed does not matter here: flagd is told everything each time.
                while self._features.take(feed) is not None:
                    pass
                flags = self._flags(tenant_id)
                if flags != told:
                    told = flags
                    response = pb.SyncFlagsResponse(flag_configuration=flags)
                    response.sync_context.update({"tenantId": tenant_id, "tenantCode": self._code(tenant_id)})
                    yield response
                await feed.wake.wait()
            raise draining()
        finally:
            self._features.unsubscribe(feed)

    async def FetchAllFlags(self, request: pb.FetchAllFlagsRequest, context: Context) -> pb.FetchAllFlagsResponse:
        return pb.FetchAllFlagsResponse(flag_configuration=self._flags(self._tenant_id(request.selector, context)))

    async def GetMetadata(self, request: pb.GetMetadataRequest, context: Context) -> pb.GetMetadataResponse:
        response = pb.GetMetadataResponse()
        # There, if empty: Python's SDK takes it out unseen.
        response.metadata.SetInParent()
        return response

    def _tenant_id(self, selector: str, context: Context) -> str:
        metadata = dict(context.invocation_metadata() or ())
        chosen = str(metadata.get(SELECTOR, "")) or selector
        if not chosen:
            message = f"name the tenant by its id or code, in the metadata `{SELECTOR}` or in `selector`"
            raise InvalidArgument("SELECTOR_REQUIRED", message, fields={"selector": "is empty"})
        tenant_id = chosen if is_uuid(chosen) else self._catalog.tenant_id_of_code(chosen)
        if tenant_id is None or self._features.held(tenant_id) is None:
            raise _missing(chosen)
        return tenant_id

    def _code(self, tenant_id: str) -> str:
        tenant = self._catalog.tenant(tenant_id)
        return tenant.code if tenant is not None else ""

    def _flags(self, tenant_id: str) -> str:
        held = self._features.held(tenant_id)
        if held is None:
            raise _missing(tenant_id)
        return json.dumps(configuration(tenant_id, held.shared.features), sort_keys=True)


def configuration(tenant_id: str, features: FeatureSet) -> dict[str, Any]:
    """The set as flagd's schema has it. Quotas are left out: flags have no word for what may be used up."""
    return {
        "$schema": SCHEMA,
        "flags": {each.feature_id: _flag(each) for each in features.entries if not isinstance(each.value, Quota)},
        # No version of the set: it changes with quotas, too, and each change of these bytes is sent.
        "metadata": {"flagSetId": tenant_id, "plan": f"{features.plan_id}/{features.plan_version}"},
    }


def _flag(feature: Effective) -> dict[str, Any]:
    """Always enabled: of a disabled flag an SDK gives what the program wrote as its default, and a feature that was
    taken away by a kill switch would be back."""
    source = feature.sources[-1] if feature.sources else None
    metadata = {"source": f"{source.kind}/{source.id}"} if source is not None else {}
    value = plain(feature.value)
    if isinstance(value, bool):
        variants: dict[str, Any] = {"on": True, "off": False}
        chosen = "on" if value else "off"
    else:
        chosen = "given" if feature.enabled else "default"
        variants = {chosen: value}
    return {"state": "ENABLED", "variants": variants, "defaultVariant": chosen, "metadata": metadata}


def plain(value: object) -> Any:
    """A value as JSON has it; flagd takes objects, but no lists and nothing that is none."""
    if isinstance(value, Setting):
        value = value.value
    if isinstance(value, RateLimit):
        return {"per_second": value.per_second, "burst": value.burst}
    return {"items": list(value)} if isinstance(value, tuple) else value


def _missing(selector: str) -> NotFound:
    return NotFound("TENANT_NOT_FOUND", f"no tenant {selector}", selector=selector)
