"""center import-tenants, import-products, import-orders and demo: real input."""

import csv
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from shared.cli.call import Call, err, out, run
from shared.platform import ports
from shared.samples import domains, load, replay, retail
from shared.samples.history import History
from shared.samples.load import ProductsLoaded, TenantsLoaded
from shared.samples.replay import Replayed

EXAMPLES = 3


def add_to(app: typer.Typer) -> None:
    app.command("import-tenants")(import_tenants)
    app.command("import-products")(import_products)
    app.command("import-orders")(import_orders)
    app.command()(demo)


File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]


def import_tenants(
    file: File,
    verified: Annotated[
        bool, typer.Option("--verified/--unverified", help="Your word that the domains are the shops' own, or proofs.")
    ] = True,
) -> None:
    """Make a tenant of each domain in FILE, one a line. Run it again to go on where it stopped."""
    shops = list(domains.shops(file.read_text().splitlines()))

    async def work(call: Call) -> None:
        began = time.monotonic()
        with Bars() as bars:
            loaded = await load.import_tenants(call.client, shops, bars, load.VERIFIED_REASON if verified else "")
        _tenants(loaded, time.monotonic() - began)

    run(work)


def import_products(
    file: File,
    tenant: Annotated[str, typer.Option(help="The shop's code.")],
    report: Annotated[Path | None, typer.Option(help="Write every line that is no product here, as CSV.")] = None,
) -> None:
    """Turn the order lines in FILE into the catalogue of a shop. Run it again to go on where it stopped."""
    try:
        found = retail.catalogue(retail.read(file))
    except (ValueError, OSError) as problem:
        err.print(str(problem), style="red")
        raise typer.Exit(1) from None
    _not_products(found, report)

    async def work(call: Call) -> None:
        with Bars() as bars:
            loaded = await load.import_products(call.client, tenant, found.products, bars)
        products_loaded(tenant, loaded)

    run(work)


def import_orders(
    file: File,
    tenant: Annotated[str, typer.Option(help="The shop's code.")],
    report: Annotated[Path | None, typer.Option(help="Write every line that could not be kept, as CSV.")] = None,
) -> None:
    """Replay the order lines in FILE as a shop's history. Run it again to go on where it stopped."""
    try:
        found = retail.catalogue(retail.read(file))
    except (ValueError, OSError) as problem:
        err.print(str(problem), style="red")
        raise typer.Exit(1) from None

    async def work(call: Call) -> None:
        began = time.monotonic()
        with Bars() as bars:
            loaded = await load.import_products(call.client, tenant, found.products, bars)
            replayed = await replay.import_orders(call.client, tenant, file, bars)
        products_loaded(tenant, loaded)
        _orders(tenant, replayed, time.monotonic() - began)
        _refusals(replayed.history, report)
        _totals(replayed)

    run(work)


def demo() -> None:
    """Load all 10,000 sample domains, the sample catalogue for a few, and for one of them a month of orders."""
    shop = domains.code(load.CATALOGUE_SHOPS[0])

    async def work(call: Call) -> None:
        began = time.monotonic()
        with Bars() as bars:
            tenants, products = await load.demo(call.client, bars)
            took_s, began_orders = time.monotonic() - began, time.monotonic()
            replayed = await replay.import_orders(call.client, shop, load.data(load.MONTH), bars)
        _tenants(tenants, took_s)
        for code, loaded in products.items():
            products_loaded(code, loaded)
        _orders(shop, replayed, time.monotonic() - began_orders)
        _totals(replayed)
        config = call.client.config
        out.print(f"in a browser: http://{shop}.{config.zone}:{ports.ENVOY + config.offset}/", soft_wrap=True)

    run(work)


class Bars:
    """Progress of phases, a bar each, on the error stream."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), console=err,
        )  # fmt: skip
        self._tasks: dict[str, int] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, phase: str, done: int, total: int) -> None:
        task = self._tasks.get(phase)
        if task is None:
            task = self._tasks[phase] = self._progress.add_task(phase, total=total or None)
        self._progress.update(task, completed=done, total=total or None)  # type: ignore[arg-type]


def _tenants(loaded: TenantsLoaded, took_s: float) -> None:
    out.print(f"{loaded.created} tenants created, {loaded.existing} were there, in {took_s:.1f} s")
    _some("refused", loaded.refused)
    _some("failed", loaded.failed)
    if loaded.behind:
        out.print(f"not served yet by {', '.join(loaded.behind)}", style="yellow")
    if loaded.refused or loaded.failed:
        raise typer.Exit(1)


def products_loaded(code: str, loaded: ProductsLoaded) -> None:
    counts = f"{loaded.created} created, {loaded.updated} updated, {loaded.unchanged} unchanged"
    out.print(f"products of {code}: {counts}")
    _some("refused", loaded.refused)
    if loaded.refused:
        raise typer.Exit(1)


def _orders(code: str, replayed: Replayed, took_s: float) -> None:
    out.print(
        f"orders of {code}: {replayed.orders_created} created, {replayed.orders_known} were there; "
        f"returns: {replayed.returns_created} created, {replayed.returns_known} were there; in {took_s:.1f} s"
    )


def _refusals(history: History, report: Path | None) -> None:
    out.print(f"{history.lines} lines; what could not be kept of {len(history.refusals)}, and why:")
    worth: Counter[str] = Counter()
    for refusal in history.refusals:
        worth[refusal.reason] += refusal.thousandths
    for reason, count in history.reasons.most_common():
        out.print(f"  {count:>6}  {_pounds(worth[reason]):>14}  {reason}", markup=False)
    if report is not None:
        with report.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("line", "invoice", "stock_code", "description", "day", "country", "amount", "reason"))
            for r in history.refusals:
                day, country = r.place or ("", "")
                amount = _pounds(r.thousandths)
                rows.writerow((r.line, r.invoice, r.stock_code, r.description, day, country, amount, r.reason))
        out.print(f"all of them are in {report}")


def _totals(replayed: Replayed) -> None:
    """What is here and what was refused are together what the file says, or it is told where they are not."""
    places, file = len(replayed.history.totals), sum(replayed.history.totals.values())
    if not replayed.differences:
        out.print(f"the totals of all {places} days and countries equal the file's, {_pounds(file)} GBP")
        return
    out.print(f"the totals of {len(replayed.differences)} of {places} days and countries differ:", style="red")
    for (day, country), (expected, found) in list(replayed.differences.items())[:20]:
        out.print(f"  {day} {country}: {_pounds(found)}, and {_pounds(expected)} in the file", markup=False)
    raise typer.Exit(1)


def _pounds(thousandths: int) -> str:
    """Exactly: the third place only where there is one."""
    amount = Decimal(thousandths) / 1000
    return str(amount.quantize(Decimal("0.001" if thousandths % 10 else "0.01")))


def _some(what: str, reasons: dict[str, str]) -> None:
    if reasons:
        out.print(f"{len(reasons)} {what}:", style="red")
        for name, reason in list(reasons.items())[:20]:
            out.print(f"  {name}: {reason}", markup=False)


def _not_products(found: retail.Catalogue, report: Path | None) -> None:
    out.print(f"{found.lines} lines hold {len(found.products)} products; {len(found.refusals)} lines sell none:")
    for reason, count in found.reasons().most_common():
        examples = [r for r in found.refusals if r.reason == reason][:EXAMPLES]
        shown = "; ".join(f"line {r.line} {r.stock_code} {r.description}".strip() for r in examples)
        out.print(f"  {count:>6}  {reason}", markup=False)
        out.print(f"          {shown}", style="dim", markup=False)
    if report is not None:
        with report.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("line", "stock_code", "description", "reason"))
            rows.writerows((r.line, r.stock_code, r.description, r.reason) for r in found.refusals)
        out.print(f"all of them are in {report}")
