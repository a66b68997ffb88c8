"""What people write for an amount of money, and how one reads."""

from decimal import Decimal, InvalidOperation

import typer
from google.type import money_pb2

from shared.runtime import money


def read(text: str) -> money_pb2.Money | None:
    """12.50EUR; None for nothing."""
    if not text:
        return None
    try:
        amount = Decimal(text[:-3].strip())
        nanos = amount.scaleb(9)
        if nanos != nanos.to_integral_value():
            raise InvalidOperation
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is no amount; write 12.50EUR") from None
    units, rest = divmod(int(nanos), 10**9)
    return money_pb2.Money(currency_code=text[-3:].upper(), units=units, nanos=rest)


def text(amount: money_pb2.Money) -> str:
    """12.50 EUR; nothing for none."""
    return money.written(money.from_proto(amount)) if amount.units or amount.nanos else ""
