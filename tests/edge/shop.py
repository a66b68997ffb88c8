"""A small real cluster: ProductService behind the platform's own server, which tells what reached it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from center.dataplane.v1 import product_service_pb2 as pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceServicer
from shared.runtime import context, pki
from shared.runtime.errors import NotFound, ResourceExhausted
from shared.runtime.rpc.server import Service, serving


class Products(ProductServiceServicer):
    """Each answer tells, in the product's description, who answered and what reached it."""

    def __init__(self, cluster_id: str) -> None:
        self.cluster_id = cluster_id
        self.calls = 0

    async def GetProduct(self, request: pb.GetProductRequest, call: Any) -> pb.GetProductResponse:
        if request.id == "missing":
            raise NotFound("PRODUCT_NOT_FOUND", "no such product", id=request.id)
        return pb.GetProductResponse(product=self._product(request.id, call))

    async def ListProducts(self, request: pb.ListProductsRequest, call: Any) -> pb.ListProductsResponse:
        return pb.ListProductsResponse(products=[self._product("1", call)])

    async def SearchProducts(self, request: pb.SearchProductsRequest, call: Any) -> pb.SearchProductsResponse:
        if request.query == "too fast":
            raise ResourceExhausted("RATE_LIMITED", "slower, please", retry_after_s=1.2)
        return pb.SearchProductsResponse()

    async def CreateProduct(self, request: pb.CreateProductRequest, call: Any) -> pb.CreateProductResponse:
        return pb.CreateProductResponse(product=self._product("new", call))

    async def UpdateProduct(self, request: pb.UpdateProductRequest, call: Any) -> pb.UpdateProductResponse:
        return pb.UpdateProductResponse(product=self._product("updated", call))

    async def ArchiveProduct(self, request: pb.ArchiveProductRequest, call: Any) -> pb.ArchiveProductResponse:
        return pb.ArchiveProductResponse()

    async def ImportProducts(self, requests: AsyncIterator[pb.ImportProductsRequest], call: Any) -> Any:
        async for _ in requests:
            yield pb.ImportProductsResponse()

    def _product(self, product_id: str, call: Any) -> pb.Product:
        self.calls += 1
        seen = {
            "cluster": self.cluster_id,
            "tenant": context.current().tenant_id,
            "metadata": {key: value for key, value in call.invocation_metadata() if isinstance(value, str)},
        }
        return pb.Product(id=product_id, description=json.dumps(seen))


@asynccontextmanager
async def cluster(home: Path, cluster_id: str) -> AsyncIterator[tuple[Products, int]]:
    """A server under the cluster's identity; gives the servicer and the port."""
    products = Products(cluster_id)
    identity = pki.load(home, f"cluster/{cluster_id}")
    services = [Service.of(products)]
    async with serving(
        services, address="127.0.0.1:0", identity=identity, verify_backoffice=lambda token, tenant: token, drain_s=0.5
    ) as server:
        yield products, server.port
