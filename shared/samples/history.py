"""Order lines of a shop as its history: orders and returns at their own dates, and a reason for every line that is
neither. Amounts are exact: minor units, and thousandths where the file has them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation

from shared.samples.retail import SOLD, clean

# What is paid for the way, and is no line of an order that has others.
SHIPPING = frozenset({"POST", "DOT", "C2"})
# Lines of one invoice stand together but for a few; after so long none comes any more.
INVOICE_ENDS_AFTER = timedelta(hours=1)
# ISO 3166-1 of the names that are in the file. The last three name no country: they get codes that ISO leaves to its
# users, but for the European one, which it reserves.
COUNTRIES = {
    "Australia": "AU", "Austria": "AT", "Bahrain": "BH", "Belgium": "BE", "Brazil": "BR", "Canada": "CA",
    "Cyprus": "CY", "Czech Republic": "CZ", "Denmark": "DK", "EIRE": "IE", "Finland": "FI", "France": "FR",
    "Germany": "DE", "Greece": "GR", "Hong Kong": "HK", "Iceland": "IS", "Israel": "IL", "Italy": "IT",
    "Japan": "JP", "Lebanon": "LB", "Lithuania": "LT", "Malta": "MT", "Netherlands": "NL", "Norway": "NO",
    "Poland": "PL", "Portugal": "PT", "RSA": "ZA", "Saudi Arabia": "SA", "Singapore": "SG", "Spain": "ES",
    "Sweden": "SE", "Switzerland": "CH", "USA": "US", "United Arab Emirates": "AE", "United Kingdom": "GB",
    "Channel Islands": "XC", "European Community": "EU", "Unspecified": "ZZ",
}  # fmt: skip

# A day and a country's code; what totals are by.
Place = tuple[date, str]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the file that is a sale or a return. Lines are counted from 1, the heading included."""

    line: int
    invoice: str
    sku: str
    title: str
    quantity: int
    price_minor: int
    time: datetime
    customer: str
    country: str

    @property
    def amount_minor(self) -> int:
        return self.quantity * self.price_minor

    @property
    def is_goods(self) -> bool:
        return SOLD.match(self.sku) is not None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that the platform cannot keep as what it is; thousandths: what it is worth."""

    line: int
    invoice: str
    stock_code: str
    description: str
    reason: str
    place: Place | None = None
    thousandths: int = 0


@dataclass(frozen=True, slots=True)
class Invoice:
    """The lines of one invoice: an order, or a return, whose quantities are how many came back."""

    number: str
    rows: tuple[Row, ...]

    @property
    def first(self) -> Row:
        return self.rows[0]

    @property
    def is_return(self) -> bool:
        return self.number.startswith("C")

    @property
    def lines(self) -> tuple[Row, ...]:
        """Without what was paid for the way, unless there is nothing else."""
        return tuple(row for row in self.rows if row.sku not in SHIPPING) or self.rows

    @property
    def shipping_minor(self) -> int:
        return sum(row.amount_minor for row in self.rows) - sum(row.amount_minor for row in self.lines)

    @property
    def place(self) -> Place:
        return self.first.time.date(), self.first.country


@dataclass(slots=True)
class History:
    """What reading a file has come upon so far. totals: of every line whose numbers can be read, in thousandths.

    Grows with the days, the countries and what is refused, not with the orders.
    """

    lines: int = 0
    totals: Counter[Place] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    _ended: set[str] = field(default_factory=set)

    def refuse(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)
        self.reasons[refusal.reason] += 1

    def refused(self) -> Counter[Place]:
        """What the refused lines are worth, in thousandths."""
        worth: Counter[Place] = Counter()
        for refusal in self.refusals:
            if refusal.place is not None:
                worth[refusal.place] += refusal.thousandths
        return worth

    def invoices(self, rows: Iterable[Mapping[str, str]]) -> Iterator[Invoice]:
        """In the order in which they begin."""
        open_: dict[str, list[Row]] = {}
        for number, raw in enumerate(rows, start=2):
            self.lines += 1
            if (row := self._row(number, raw)) is None:
                continue
            while open_ and row.time - next(iter(open_.values()))[-1].time > INVOICE_ENDS_AFTER:
                yield self._end(open_)
            if row.invoice in self._ended:
                self._refuse(number, raw, "its invoice had ended long before", row.time, row.country)
                continue
            open_.setdefault(row.invoice, []).append(row)
        while open_:
            yield self._end(open_)

    def _end(self, open_: dict[str, list[Row]]) -> Invoice:
        number = next(iter(open_))
        self._ended.add(number)
        return Invoice(number, tuple(open_.pop(number)))

    def _row(self, line: int, raw: Mapping[str, str]) -> Row | None:
        try:
            quantity, price = int(raw["Quantity"]), Decimal(raw["UnitPrice"])
            time = datetime.fromisoformat(raw["InvoiceDate"]).replace(tzinfo=UTC)
            thousandths = _whole(price * 1000)
        except (ValueError, InvalidOperation):
            self._refuse(line, raw, "the quantity, the price or the date cannot be read")
            return None
        if (country := COUNTRIES.get(raw["Country"].strip(), "")) == "":
            self._refuse(line, raw, "a country that nobody knows")
            return None
        self.totals[time.date(), country] += quantity * thousandths
        customer = raw["CustomerID"].strip().removesuffix(".0")
        if reason := _judge(raw["InvoiceNo"].strip().upper(), quantity, thousandths, customer):
            self._refuse(line, raw, reason, time, country, quantity * thousandths)
            return None
        return Row(
            line=line,
            invoice=raw["InvoiceNo"].strip().upper(),
            sku=raw["StockCode"].strip().upper(),
            title=clean(raw["Description"] or "") or raw["StockCode"].strip(),
            quantity=abs(quantity),
            price_minor=thousandths // 10,
            time=time,
            customer=customer,
            country=country,
        )

    def _refuse(
        self,
        line: int,
        raw: Mapping[str, str],
        reason: str,
        time: datetime | None = None,
        country: str = "",
        thousandths: int | None = None,
    ) -> None:
        if thousandths is None and time is not None:
            thousandths = int(raw["Quantity"]) * _whole(Decimal(raw["UnitPrice"]) * 1000)
        place = None if time is None else (time.date(), country)
        said = raw["Description"] or ""
        self.refuse(Refusal(line, raw["InvoiceNo"], raw["StockCode"], said, reason, place, thousandths or 0))


def _judge(invoice: str, quantity: int, thousandths: int, customer: str) -> str:
    """Why a line is neither a sale nor a return, or nothing."""
    is_return = invoice.startswith("C")
    if not is_return and not re.match(r"\d", invoice):
        return "an entry of the books, not an order"
    if thousandths < 0:
        return "a negative price"
    if thousandths % 10:
        return "a price finer than a penny"
    if is_return:
        if quantity >= 0 or not thousandths:
            return "a cancellation of nothing"
        return "" if customer else "a cancellation that names no customer"
    if quantity <= 0:
        return "a correction of stock: the quantity is not positive"
    return "" if thousandths or customer else "a note of stock: no customer and no price"


def _whole(amount: Decimal) -> int:
    """ValueError: there is more to it."""
    if amount != amount.to_integral_value():
        raise ValueError(f"{amount} is not whole")
    return int(amount)
