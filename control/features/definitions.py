"""All that sets are computed from but the tenants' plans and places, as the database has it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from control.features import store as feature_store
from control.features.domain import Attached, Feature, Given, KillSwitch, Rollout
from control.plans import store
from control.plans.domain import AddOn, Overlay, Plan, PlanVersion
from control.tables import kill_switches


@dataclass(slots=True)
class Definitions:
    """All that sets are computed from but the tenants' plans and places."""

    features: dict[str, Feature] = field(default_factory=dict)
    rollouts: dict[str, list[Rollout]] = field(default_factory=dict)
    # Those of all tenants and of clusters; a tenant's own stand in its overlay.
    kill_switches: dict[str, list[KillSwitch]] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    versions: dict[tuple[str, int], PlanVersion] = field(default_factory=dict)
    add_ons: dict[str, AddOn] = field(default_factory=dict)
    overlays: dict[str, Overlay] = field(default_factory=dict)

    def given(self, tenant_id: str, plan_id: str, cluster_id: str, plan_version: int | None = None) -> Given:
        """plan_version: None takes what the tenant has now."""
        overlay = self.overlays.get(tenant_id)
        number = self.version_of(overlay, plan_id) if plan_version is None else plan_version
        version = self.versions.get((plan_id, number))
        attached = overlay.attachments if overlay is not None else ()
        own = overlay.kill_switches if overlay is not None else ()
        return Given(
            tenant_id=tenant_id,
            cluster_id=cluster_id,
            plan_id=plan_id,
            plan_version=number,
            plan=version.features if version is not None else {},
            features=self.features,
            attached=[
                Attached(each.add_on_id, add_on.extras, each.quantity, each.reason, each.expire_time)
                for each in attached
                if (add_on := self.add_ons.get(each.add_on_id)) is not None
            ],
            overrides=overlay.overrides if overlay is not None else (),
            rollouts=[each for many in self.rollouts.values() for each in many],
            kill_switches=[*own, *(each for many in self.kill_switches.values() for each in many)],
        )

    def version_of(self, overlay: Overlay | None, plan_id: str) -> int:
        if overlay is not None and overlay.pinned_version and overlay.pinned_plan_id == plan_id:
            return overlay.pinned_version
        plan = self.plans.get(plan_id)
        return plan.active_version if plan is not None else 0

    def revision_of(self, given: Given, entries: Iterable[str]) -> int:
        """Of the last change to what the set stands on; the tenant's own left out."""
        plan = self.plans.get(given.plan_id)
        return max(
            plan.revision if plan is not None else 0,
            max((self.features[each].revision for each in entries), default=0),
            max((self.add_ons[each.add_on_id].revision for each in given.attached), default=0),
        )


async def read(tx: AsyncConnection, tenant_ids: Sequence[str] | None = None) -> Definitions:
    """tenant_ids: whose own to read; None reads everybody's."""
    found = Definitions(overlays=await store.overlays(tx, tenant_ids))
    for feature in await feature_store.list_features(tx):
        found.features[feature.id] = feature
    for rollout in await feature_store.list_rollouts(tx):
        found.rollouts.setdefault(rollout.feature_id, []).append(rollout)
    for switch in await feature_store.list_kill_switches(tx, [kill_switches.c.tenant_id.is_(None)]):
        found.kill_switches.setdefault(switch.feature_id, []).append(switch)
    for plan in await store.list_plans(tx):
        found.plans[plan.id] = plan
    for version in await store.list_versions(tx, store.versions_of(found.plans)):
        found.versions[version.plan_id, version.version] = version
    found.add_ons = {each.id: each for each in await store.list_add_ons(tx)}
    return found
