"""What a shopper gets, through a real Envoy."""

from tests.edge.conftest import Edge, tenant_id
from tests.edge.proxy import Envoy
from tests.edge.web import Shopper


async def test_a_shop_answers_at_its_domain_from_its_cluster(edge: Edge, envoy: Envoy) -> None:
    shopper = Shopper(envoy.port)
    for number, cluster in ((4, "eu-1"), (5, "us-1")):
        answer = await shopper.get(f"shop-{number}.test")
        assert answer.status == 200, answer
        assert answer.seen["cluster"] == cluster
        assert answer.seen["tenant"] == tenant_id(number)
