"""The sample orders: what each line is, and sums that equal the file's to the penny."""

from collections import Counter
from datetime import date

from shared.samples import load, retail
from shared.samples.history import History, Invoice, Place
from tests.shared.test_samples import line


def of(**changes: str) -> dict[str, str]:
    return line(**{"CustomerID": "17850.0", "Country": "United Kingdom", **changes})


def read(*rows: dict[str, str]) -> tuple[list[Invoice], History]:
    history = History()
    return list(history.invoices(rows)), history


def test_an_order_has_its_lines_and_its_way() -> None:
    [order], history = read(of(), of(StockCode="post", UnitPrice="18.0", Quantity="1"))
    assert [(row.sku, row.quantity, row.price_minor) for row in order.lines] == [("85123A", 6, 255)]
    assert (order.number, order.shipping_minor, order.first.customer, order.is_return) == (
        "536365",
        1800,
        "17850",
        False,
    )
    assert order.place == (date(2010, 12, 1), "GB")
    assert not history.refusals


def test_what_was_only_sent_is_an_order_of_that() -> None:
    [order], _ = read(of(StockCode="POST", UnitPrice="18.0", Quantity="1"))
    assert [row.sku for row in order.lines] == ["POST"] and order.shipping_minor == 0


def test_a_return_says_how_many_came_back() -> None:
    [back], _ = read(of(InvoiceNo="c536379", Quantity="-6"))
    assert (back.number, back.is_return, back.first.quantity) == ("C536379", True, 6)


def test_lines_that_are_no_sale_say_why_and_what_they_are_worth() -> None:
    rows = {
        "an entry of the books, not an order": (
            of(InvoiceNo="A563186", UnitPrice="-11062.06", Quantity="1"),
            -11062060,
        ),
        "a price finer than a penny": (of(UnitPrice="0.001"), 6),
        "a negative price": (of(UnitPrice="-1.0"), -6000),
        "a cancellation that names no customer": (of(InvoiceNo="C1", Quantity="-2", CustomerID=""), -5100),
        "a cancellation of nothing": (of(InvoiceNo="C1", Quantity="2"), 5100),
        "a correction of stock: the quantity is not positive": (of(Quantity="-3", UnitPrice="0.0"), 0),
        "a note of stock: no customer and no price": (of(CustomerID="", UnitPrice="0.0"), 0),
        "the quantity, the price or the date cannot be read": (of(UnitPrice="?"), 0),
        "a country that nobody knows": (of(Country="Atlantis"), 0),
    }
    orders, history = read(*(row for row, _ in rows.values()))
    assert not orders
    assert [(each.reason, each.thousandths) for each in history.refusals] == [
        (reason, worth) for reason, (_, worth) in rows.items()
    ]
    assert [each.line for each in history.refusals] == list(range(2, 2 + len(rows)))


def test_lines_of_an_invoice_that_stand_apart_are_one_order() -> None:
    later = {"InvoiceDate": "2010-12-01 08:27:00"}
    orders, _ = read(of(), of(InvoiceNo="536366", **later), of(StockCode="71053", **later))
    assert [(order.number, len(order.rows)) for order in orders] == [("536365", 2), ("536366", 1)]


def test_an_invoice_that_comes_back_the_next_day_is_not_another_order() -> None:
    orders, history = read(
        of(), of(InvoiceNo="536366", InvoiceDate="2010-12-02 08:00:00"), of(InvoiceDate="2010-12-02 08:01:00")
    )
    assert [order.number for order in orders] == ["536365", "536366"]
    [refusal] = history.refusals
    assert (refusal.reason, refusal.thousandths) == ("its invoice had ended long before", 15300)


def test_sums_by_day_and_country_equal_the_files() -> None:
    history = History()
    sold: Counter[Place] = Counter()
    seen: Counter[bool] = Counter()
    for invoice in history.invoices(retail.read(load.data("online-retail-2010-12.csv.gz"))):
        seen[invoice.is_return] += 1
        lines = sum(row.amount_minor for row in invoice.lines) + invoice.shipping_minor
        sold[invoice.place] += 10 * lines * (-1 if invoice.is_return else 1)
    assert (seen[False], seen[True], history.lines) == (1559, 308, 42_481)
    refused = history.refused()
    for place in history.totals.keys() | sold.keys() | refused.keys():
        assert history.totals[place] == sold[place] + refused[place], place
