"""center products: what a shop sells, as a file."""

from pathlib import Path
from typing import Annotated

import typer

from center.dataplane.v1 import product_service_pb2 as pb
from center.dataplane.v1.product_service_pb2_grpc import ProductServiceStub
from shared import products_csv
from shared.cli.call import Call, err, out, run
from shared.cli.imports import Bars, products_loaded
from shared.samples import load

app = typer.Typer(help="What a shop sells, as CSV.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option(help="The shop's code.")]


@app.command()
def export(file: Annotated[Path, typer.Argument(dir_okay=False, writable=True)], tenant: Tenant) -> None:
    """Write a shop's products to FILE, a row a variant. Cells that a spreadsheet would calculate begin with '."""

    async def work(call: Call) -> None:
        tenant_id, channel = await call.client.shop(tenant)
        rows = ProductServiceStub(channel).ExportProducts(
            pb.ExportProductsRequest(), metadata=(("x-tenant-id", tenant_id),)
        )
        with file.open("wb") as target:
            async for some in rows:
                target.write(some.data)
        out.print(f"products of {tenant} are in {file}")

    run(work)


@app.command("import")
def import_(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)], tenant: Tenant) -> None:
    """Make the products in FILE those of a shop, or change them. Run it again to go on where it stopped."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            products = list(products_csv.read(lines))
    except ValueError as problem:
        err.print(str(problem), style="red", markup=False)
        raise typer.Exit(1) from None

    async def work(call: Call) -> None:
        with Bars() as bars:
            names = [product.handle or product.title for product in products]
            loaded = await load.send_products(call.client, tenant, products, names, bars)
        products_loaded(tenant, loaded)

    run(work)
