"""Products as CSV (RFC 4180, UTF-8): what is written is read again as the same products, and written as the same bytes.

A row a variant; the first of a product's rows says what the product is, and the others repeat its handle alone. The
values of an option are a row of CSV in one cell. Files, categories and stock are a shop's own, and stay there.

A cell that a spreadsheet would take for a formula begins with an apostrophe, which reading takes off again.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from google.type import money_pb2

from center.dataplane.v1 import product_service_pb2 as pb

_MOST_OPTIONS = 3
_PRODUCT = ("handle", "title", "description", "status")
_NAMES = tuple(f"option{n}_name" for n in range(1, _MOST_OPTIONS + 1))
_VALUES = tuple(f"option{n}_values" for n in range(1, _MOST_OPTIONS + 1))
_CHOSEN = tuple(f"option{n}_value" for n in range(1, _MOST_OPTIONS + 1))
_OPTIONS = tuple(name for pair in zip(_NAMES, _VALUES, strict=True) for name in pair)
COLUMNS = (*_PRODUCT, *_OPTIONS, "sku", "variant_title", *_CHOSEN, "price", "currency")

_STATUSES = frozenset(pb.ProductStatus.keys())
_PRICE_DIGITS = 9
# What spreadsheets calculate, and what marks it as a text.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "'")


class Unreadable(ValueError):
    """A file that is not such a CSV; says where."""


def header() -> str:
    return _row(COLUMNS)


def write(products: Iterable[pb.Product]) -> str:
    """Their rows."""
    return "".join(_row(cells) for product in products for cells in _cells(product))


def read(lines: Iterable[str]) -> Iterator[pb.Product]:
    """lines: with their ends, as open(newline="") gives them. Unreadable."""
    rows = csv.DictReader(lines, strict=True)
    try:
        if missing := set(COLUMNS) - set(rows.fieldnames or ()):
            raise Unreadable(f"line 1: no column {min(missing)}")
        yield from _products(rows)
    except csv.Error as problem:
        raise Unreadable(f"line {rows.line_num}: {problem}") from None


def _products(rows: "csv.DictReader[str]") -> Iterator[pb.Product]:
    product: pb.Product | None = None
    for row in rows:
        if None in row or None in row.values():
            raise Unreadable(f"line {rows.line_num}: not as many cells as columns")
        cells = {name: _plain(value) for name, value in row.items()}
        try:
            if product is None or cells["handle"] != product.handle:
                if product is not None:
                    yield product
                product = _product(cells)
            if cells["sku"]:
                product.variants.append(_variant(cells, product))
        except ValueError as problem:
            raise Unreadable(f"line {rows.line_num}: {problem}") from None
    if product is not None:
        yield product


def _cells(product: pb.Product) -> Iterator[Sequence[str]]:
    about = [product.handle, product.title, product.description, _status(product)]
    for place in range(_MOST_OPTIONS):
        option = product.options[place] if place < len(product.options) else pb.ProductOption()
        about += [option.name, _list(option.values)]
    rest = [product.handle, *[""] * (len(about) - 1)]
    if not product.variants:
        yield [*about, *[""] * (len(COLUMNS) - len(about))]
    for n, variant in enumerate(product.variants):
        chosen = [option.value for option in variant.options]
        chosen += [""] * (_MOST_OPTIONS - len(chosen))
        of_variant = [variant.sku, variant.title, *chosen, _price(variant.price), variant.price.currency_code]
        yield [*(rest if n else about), *of_variant]


def _product(cells: dict[str, str]) -> pb.Product:
    status = f"PRODUCT_STATUS_{cells['status'] or 'UNSPECIFIED'}"
    if status not in _STATUSES:
        raise ValueError(f"no status {cells['status']!r}")
    options = [
        pb.ProductOption(name=cells[name], values=_listed(cells[values]))
        for name, values in zip(_NAMES, _VALUES, strict=True)
        if cells[name]
    ]
    return pb.Product(
        handle=cells["handle"], title=cells["title"], description=cells["description"], status=status, options=options
    )


def _variant(cells: dict[str, str], product: pb.Product) -> pb.Variant:
    options = [
        pb.VariantOption(name=option.name, value=cells[chosen])
        for option, chosen in zip(product.options, _CHOSEN, strict=False)
    ]
    price = _money(cells["price"], cells["currency"])
    return pb.Variant(sku=cells["sku"], title=cells["variant_title"], options=options, price=price)


def _status(product: pb.Product) -> str:
    return pb.ProductStatus.Name(product.status).removeprefix("PRODUCT_STATUS_")


def _price(price: money_pb2.Money) -> str:
    """12.5: as many places as it has."""
    return f"{price.units}.{price.nanos:0{_PRICE_DIGITS}}".rstrip("0").rstrip(".")


def _money(text: str, currency: str) -> money_pb2.Money:
    units, _, rest = text.partition(".")
    if not (units + rest).isascii() or not (units + rest).isdecimal() or len(rest) > _PRICE_DIGITS:
        raise ValueError(f"no price {text!r}")
    return money_pb2.Money(currency_code=currency, units=int(units or "0"), nanos=int(rest.ljust(_PRICE_DIGITS, "0")))


def _list(values: Sequence[str]) -> str:
    return _written(values).removesuffix("\r\n")


def _listed(cell: str) -> list[str]:
    return next(csv.reader(io.StringIO(cell, newline=""), strict=True), [])


def _row(cells: Sequence[str]) -> str:
    return _written([f"'{cell}" if cell.startswith(_FORMULAS) else cell for cell in cells])


def _written(cells: Sequence[str]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _plain(cell: str) -> str:
    return cell.removeprefix("'")
