"""Order lines of a shop as its catalogue: one product a stock code, and a reason for every line that is none."""

import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice")
# Postage, discounts, fees and manual lines are booked under words; what is sold has a number.
SOLD = re.compile(r"^(\d{5}[A-Z]{0,3}|DCGS[0-9A-Z]+|GIFT_\d+_\d+)$")


@dataclass(frozen=True, slots=True)
class Product:
    """What a shop sells under one stock code."""

    sku: str
    title: str
    price_minor: int
    currency: str = "GBP"

    @property
    def handle(self) -> str:
        """The title and the stock code, as a part of an address."""
        words = re.sub(r"[^a-z0-9]+", "-", f"{self.title} {self.sku}".lower()).strip("-")
        return words[-120:].strip("-")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that makes no product. Lines are counted from 1, the heading included, as an editor shows them."""

    line: int
    stock_code: str
    description: str
    reason: str


@dataclass(slots=True)
class Catalogue:
    products: list[Product] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    lines: int = 0

    def reasons(self) -> Counter[str]:
        return Counter(refusal.reason for refusal in self.refusals)


@dataclass(slots=True)
class _Sold:
    """What the lines so far say about one stock code."""

    price_minor: int
    time: str
    titles: Counter[str]


def read(path: Path) -> Iterator[Mapping[str, str]]:
    """The lines of a CSV file, gzipped or not; ValueError if it is not of this kind."""
    with path.open("rb") as raw:
        unpacked = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        rows = csv.DictReader(io.TextIOWrapper(unpacked, encoding="utf-8", newline=""))
        if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
            raise ValueError(f"{path} has no column {', '.join(missing)}")
        yield from rows


def catalogue(rows: Iterable[Mapping[str, str]]) -> Catalogue:
    """The products in the order of their stock codes: the latest price, and the title that most lines agree on."""
    found = Catalogue()
    sold: dict[str, _Sold] = {}
    for number, row in enumerate(rows, start=2):
        found.lines += 1
        code = row["StockCode"].strip().upper()
        title = clean(row["Description"] or "")
        reason, price_minor = _judge(code, title, row)
        if reason:
            found.refusals.append(Refusal(number, row["StockCode"], row["Description"] or "", reason))
            continue
        known = sold.setdefault(code, _Sold(price_minor, row["InvoiceDate"], Counter()))
        known.titles[title] += 1
        # ISO times sort as text; of two lines of one minute the later line counts.
        if row["InvoiceDate"] >= known.time:
            known.price_minor, known.time = price_minor, row["InvoiceDate"]
    for code, known in sorted(sold.items()):
        found.products.append(Product(code, known.titles.most_common(1)[0][0], known.price_minor))
    return found


def _judge(code: str, title: str, row: Mapping[str, str]) -> tuple[str, int]:
    """(why the line is no sale of a product, or nothing; the price in minor units)."""
    if not SOLD.match(code):
        return "the stock code is a charge, not a product", 0
    if row["InvoiceNo"].strip().upper().startswith("C"):
        return "a cancellation", 0
    try:
        if int(row["Quantity"]) <= 0:
            return "a correction of stock: the quantity is not positive", 0
        price = Decimal(row["UnitPrice"])
    except (ValueError, InvalidOperation):
        return "the quantity or the price is no number", 0
    price_minor = int((price * 100).to_integral_value())
    if price_minor <= 0:
        return "no price", 0
    # The shop's own people note breakage and finds in lower case; everything sold is described in capitals.
    if not title or row["Description"].strip() == row["Description"].strip().lower():
        return "the description is a stock note", 0
    return "", price_minor


def clean(description: str) -> str:
    """WHITE HANGING  HEART T-LIGHT HOLDER. is White Hanging Heart T-Light Holder."""
    words = re.sub(r"\s+", " ", description).strip(" .,;:*?")
    return re.sub(r"[A-Za-z0-9]+('[A-Za-z]+)?", lambda m: m[0][0].upper() + m[0][1:].lower(), words)
