"""center products: what a shop sells, as a file."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from center.dataplane.v1 import product_service_pb2 as pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from shared import products_csv
from shared.cli.call import Call, TenantArgument, err, operator, out
from shared.cli.imports import Bars, products_loaded
from shared.samples import load

app = typer.Typer(help="What a shop sells, as CSV.", no_args_is_help=True)

PRODUCTS = pb.DESCRIPTOR.services_by_name["ProductService"]


@operator(app)
async def export(
    call: Call, tenant: TenantArgument, file: Annotated[Path, typer.Argument(dir_okay=False, writable=True)]
) -> None:
    """Write a shop's products to FILE, a row a variant. Cells that a spreadsheet would calculate begin with '."""
    request = pb.ExportProductsRequest()
    if call.print_grpcurl:
        await call.in_shop(tenant, PRODUCTS, "ExportProducts", request)
    tenant_id, channel = await call.client.shop(id=await call.tenant_id(tenant))
    rows = ProductServiceStub(channel).ExportProducts(request, metadata=(("x-tenant-id", tenant_id),))
    with file.open("wb") as target:
        async for some in rows:
            target.write(some.data)
    if call.as_json:
        out.print_json(json.dumps({"file": str(file), "bytes": file.stat().st_size}))
    else:
        out.print(f"products of {tenant} are in {file}")


@operator(app, "import")
async def import_(
    call: Call,
    tenant: TenantArgument,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
) -> None:
    """Make the products in FILE those of a shop, or change them. Run it again to go on where it stopped."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            products = list(products_csv.read(lines))
    except ValueError as problem:
        err.print(str(problem), style="red", markup=False)
        raise typer.Exit(1) from None
    if call.print_grpcurl:
        await call.in_shop(tenant, PRODUCTS, "ImportProducts", pb.ImportProductsRequest(products=products))
    names = [product.handle or product.title for product in products]
    tenant_id = await call.tenant_id(tenant)
    with Bars() as bars:
        loaded = await load.send_products(call.client, tenant, products, names, bars, tenant_id=tenant_id)
    if call.as_json:
        out.print_json(json.dumps(asdict(loaded)))
    else:
        products_loaded(tenant, loaded)
