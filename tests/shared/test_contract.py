"""What every contract of the platform keeps to, read from the image that Envoy and buf read."""

import pytest
from google.protobuf.descriptor import MethodDescriptor

from shared.runtime.rpc import rules
from tests.support.contracts import services

# Their effect is the same however often they come: they carry the state that is to be, and its revision.
COMMANDS = "center.dataplane.v1.TenantRuntimeService"
# The same question asked twice is two questions, and spends twice.
SPENDING = {"AccessService/ValidateToken", "ValidatorService/AdmitToken", "ShopperService/LogIn"}
# What it hands in has ids of its own, and numbers that only grow.
ACCOUNTS = {"ValidatorService/SettleLeases"}
# An upload becomes one file, and a file has one variant of a name.
ONCE = {"MediaService/FinalizeUpload", "MediaService/CreateVariant"}

# An event has an id of its own, and to ask about what is open changes what the answer says.
# A form brings its id among its fields.
FORMS = {"StorefrontService/SubmitCart", "StorefrontService/SubmitCheckout", "StorefrontService/SubmitAccount"}
BY_NATURE = {"PaymentService/ReportProviderEvent", "PaymentService/Reconcile"}


METHODS = [method for service in services() for method in service.methods]


def _name(method: MethodDescriptor) -> str:
    return f"{method.containing_service.name}/{method.name}"


def test_all_contracts_are_looked_at() -> None:
    assert {method.containing_service.name for method in METHODS} >= {"TenantService", "ProductService", "EdgeService"}


@pytest.mark.parametrize("method", METHODS, ids=_name)
def test_every_method_has_rules(method: MethodDescriptor) -> None:
    assert rules.of(method).callers


CHANGES = [method for method in METHODS if rules.of(method).mutates and _name(method) not in SPENDING]


@pytest.mark.parametrize("method", CHANGES, ids=_name)
def test_a_change_can_be_asked_for_again(method: MethodDescriptor) -> None:
    assert rules.of(method).idempotent
    if _name(method) in ACCOUNTS | ONCE | FORMS | BY_NATURE:
        return
    if method.containing_service.full_name != COMMANDS and not method.client_streaming:
        assert "request_id" in method.input_type.fields_by_name


@pytest.mark.parametrize("method", [each for each in METHODS if each.name.startswith("List")], ids=_name)
def test_a_list_comes_in_pages(method: MethodDescriptor) -> None:
    if not method.input_type.fields:
        return  # as many as there are processes: watchers and edges
    assert {"page_size", "page_token"} <= set(method.input_type.fields_by_name)
    assert "next_page_token" in method.output_type.fields_by_name
