"""Updates by field mask: what is named is replaced, what is not stays, what may not change is refused."""

import contextlib

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from center.control.v1 import tenant_pb2 as pb
from shared.runtime.errors import InvalidArgument
from shared.runtime.masks import merge

ALLOWED = frozenset({"display_name", "labels", "placement.residency", "config", "config.theme.accent_color"})


def stored() -> pb.Tenant:
    return pb.Tenant(
        id="t1",
        display_name="Old",
        labels={"tier": "gold"},
        placement=pb.Placement(region_id="eu", residency=["eu"]),
        config=pb.TenantConfig(locale="en", theme=pb.Theme(accent_color="#000000")),
    )


def test_what_is_named_is_replaced_and_the_rest_stays() -> None:
    tenant = stored()
    wish = pb.Tenant(id="t2", display_name="New", labels={"a": "b"}, placement=pb.Placement(region_id="us"))
    written = merge(tenant, wish, FieldMask(paths=["display_name", "labels", "display_name"]), ALLOWED)
    expected = stored()
    expected.display_name = "New"
    del expected.labels["tier"]
    expected.labels["a"] = "b"
    assert (tenant, written) == (expected, ["display_name", "labels"])


def test_a_named_field_that_is_left_out_is_cleared() -> None:
    tenant = stored()
    merge(tenant, pb.Tenant(), FieldMask(paths=["display_name", "labels", "placement.residency"]), ALLOWED)
    assert (tenant.display_name, dict(tenant.labels), list(tenant.placement.residency)) == ("", {}, [])
    assert tenant.placement.region_id == "eu"


def test_an_empty_mask_means_what_the_source_has_of_what_is_allowed() -> None:
    tenant = stored()
    wish = pb.Tenant(id="t2", display_name="New", placement=pb.Placement(region_id="us", residency=["us"]))
    assert merge(tenant, wish, FieldMask(), ALLOWED) == ["display_name", "placement.residency"]
    assert (tenant.id, tenant.placement.region_id, list(tenant.placement.residency)) == ("t1", "eu", ["us"])
    assert dict(tenant.labels) == {"tier": "gold"}


def test_a_star_means_all_that_is_allowed() -> None:
    tenant = stored()
    merge(tenant, pb.Tenant(id="t2", display_name="New"), FieldMask(paths=["*"]), ALLOWED)
    assert tenant == pb.Tenant(id="t1", display_name="New", placement=pb.Placement(region_id="eu"))


def test_below_an_allowed_path_everything_may_change() -> None:
    tenant = stored()
    wish = pb.Tenant(config=pb.TenantConfig(theme=pb.Theme(accent_color="#ffffff")))
    merge(tenant, wish, FieldMask(paths=["config.theme.accent_color"]), ALLOWED)
    assert (tenant.config.theme.accent_color, tenant.config.locale) == ("#ffffff", "en")


def test_clearing_below_an_absent_message_makes_no_message() -> None:
    tenant = pb.Tenant()
    merge(tenant, pb.Tenant(), FieldMask(paths=["config.theme.accent_color", "placement.residency"]), ALLOWED)
    assert tenant == pb.Tenant() and not tenant.HasField("config")


@pytest.mark.parametrize(
    "path", ["id", "placement", "placement.region_id", "nope", "", "labels.tier", "config.nope", "*"]
)
def test_a_path_that_is_unknown_or_not_allowed_is_refused_and_changes_nothing(path: str) -> None:
    tenant = stored()
    with pytest.raises(InvalidArgument, match="MASK_INVALID") as caught:
        merge(tenant, pb.Tenant(display_name="New"), FieldMask(paths=["display_name", path]), ALLOWED)
    assert "update_mask" in caught.value.violations
    assert tenant == stored()


_names = st.sampled_from([field.name for field in pb.Tenant.DESCRIPTOR.fields] + ["theme", "", "residency"])


@given(st.lists(st.lists(_names, max_size=4).map(".".join) | st.text(max_size=9), max_size=4))
def test_whatever_is_named_is_merged_or_refused(paths: list[str]) -> None:
    with contextlib.suppress(InvalidArgument):
        merge(stored(), stored(), FieldMask(paths=paths), set(pb.Tenant.DESCRIPTOR.fields_by_name))
