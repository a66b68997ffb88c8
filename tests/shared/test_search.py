"""The search of the example solution over the retail catalogue, and what it is registered as."""

import pytest

from shared.samples import retail
from shared.samples.search import registration
from shared.samples.search.config import CATALOGUE
from shared.samples.search.index import Index


@pytest.fixture(scope="module")
def index() -> Index:
    return Index(retail.catalogue(retail.read(CATALOGUE)).products)


def test_every_word_of_the_query_is_in_each_product_found(index: Index) -> None:
    found = index.search("white LANTERN")
    assert found
    assert all("white" in product.title.lower() and "lantern" in product.title.lower() for product in found)


def test_the_beginning_of_a_word_finds_it(index: Index) -> None:
    assert index.search("lanter")


def test_nothing_asked_finds_nothing(index: Index) -> None:
    assert index.search("") == []
    assert index.search("!?") == []
    assert index.search("nosuchthinganywhere lantern") == []


def test_no_more_is_found_than_wanted(index: Index) -> None:
    assert len(index.search("a", most=7)) == 7


def test_a_platform_at_other_ports_registers_other_addresses() -> None:
    solution = registration.solution("shops.test", offset=1000)
    assert solution.gateway.hosts == ["search.shops.test"]
    assert solution.gateway.upstream_port == registration.PORT + 1000
    assert solution.redirect_urls == ["http://search.shops.test:9080/callback"]
    assert solution.upgrade_url.startswith("http://search.shops.test:9080/upgrade")
    quotas = {tier.id: tier.quotas["search"].limit for tier in solution.tiers}
    assert (quotas["anonymous"], quotas["free"]) == (3, 10)
