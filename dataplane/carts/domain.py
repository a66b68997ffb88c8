"""What a cart is, and which changes to one are allowed.

Every change gives the cart's next version, or the cart itself where nothing differs.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from dataplane.promotions.domain import code_key
from shared.notifications.domain import Channel, recipient
from shared.runtime.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted, check_etag

MOST_LINES = 200
MOST_OF_A_LINE = 10_000
MOST_CODES = 20

ABANDONED_AFTER = timedelta(hours=24)
FORGOTTEN_AFTER = timedelta(days=30)

# (name, value), by name.
Options = tuple[tuple[str, str], ...]


class State(StrEnum):
    OPEN = "OPEN"
    COMPLETED = "COMPLETED"
    MERGED = "MERGED"


@dataclass(frozen=True, slots=True)
class Line:
    id: str
    variant_id: str
    options: Options
    quantity: int

    @property
    def key(self) -> tuple[str, str]:
        """What there is one line of in a cart."""
        return self.variant_id, options_hash(self.options)


@dataclass(frozen=True, slots=True)
class Code:
    """code: as it is compared; entered: as it was written."""

    code: str
    entered: str


@dataclass(frozen=True, slots=True)
class Cart:
    """email, address: sealed; nothing here reads them."""

    id: str
    currency: str
    create_time: datetime
    update_time: datetime
    state: State = State.OPEN
    lines: tuple[Line, ...] = ()
    codes: tuple[Code, ...] = ()
    email: bytes = b""
    address: bytes = b""
    merged_into: str | None = None
    complete_time: datetime | None = None
    order_id: str | None = None
    customer_id: str | None = None
    abandon_time: datetime | None = None
    version: int = 1

    @property
    def etag(self) -> str:
        return str(self.version)

    def line(self, line_id: str) -> Line:
        found = next((line for line in self.lines if line.id == line_id), None)
        if found is None:
            raise NotFound("LINE_NOT_FOUND", f"no line {line_id} in this cart", id=line_id)
        return found


def options_hash(options: Options) -> str:
    """Empty for none."""
    plain = json.dumps(options, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest() if options else ""


def options_of(given: Iterable[tuple[str, str]]) -> Options:
    """InvalidArgument FIELD_INVALID: a name twice."""
    options = tuple(sorted(given))
    names = [name for name, _ in options]
    if len(names) != len(set(names)):
        raise _invalid("options", "a name twice")
    return options


def code_of(entered: str) -> Code:
    """` Welcome10` is welcome10. InvalidArgument FIELD_INVALID: nothing but space."""
    code = code_key(entered).strip()
    if not code:
        raise _invalid("code", "nothing but space")
    return Code(code, entered)


def email_of(given: str) -> str:
    """What notifications can be sent to; empty for none. InvalidArgument FIELD_INVALID."""
    try:
        return recipient(Channel.EMAIL, given.strip()) if given else ""
    except InvalidArgument:
        raise _invalid("email", "not an e-mail address") from None


def refuse_changes(cart: Cart, etag: str = "") -> None:
    """FailedPrecondition CART_COMPLETED, Aborted ETAG_MISMATCH."""
    if cart.state is State.COMPLETED:
        raise FailedPrecondition("CART_COMPLETED", "this cart became an order and stays as it is", id=cart.id)
    check_etag("cart", cart.id, cart.etag, etag)


def add_line(cart: Cart, new: Line, now: datetime) -> Cart:
    return _changed(cart, now, lines=_added(cart.lines, [new], "quantity"))


def set_quantity(cart: Cart, line_id: str, quantity: int, now: datetime) -> Cart:
    line = cart.line(line_id)
    if quantity == 0:
        return remove_line(cart, line_id, now)
    wanted = replace(line, quantity=quantity)
    return _changed(cart, now, lines=tuple(wanted if each is line else each for each in cart.lines))


def remove_line(cart: Cart, line_id: str, now: datetime) -> Cart:
    gone = cart.line(line_id)
    return _changed(cart, now, lines=tuple(line for line in cart.lines if line is not gone))


def set_address(cart: Cart, sealed: bytes, now: datetime) -> Cart:
    return _changed(cart, now, address=sealed)


def set_email(cart: Cart, sealed: bytes, now: datetime) -> Cart:
    return _changed(cart, now, email=sealed)


def apply_code(cart: Cart, code: Code, now: datetime) -> Cart:
    return _changed(cart, now, codes=_with_codes(cart.codes, [code]))


def remove_code(cart: Cart, code: Code, now: datetime) -> Cart:
    left = tuple(each for each in cart.codes if each.code != code.code)
    if len(left) == len(cart.codes):
        raise NotFound("CODE_NOT_FOUND", f"no code {code.code} in this cart", code=code.code)
    return _changed(cart, now, codes=left)


def merge(
    source: Cart, into: Cart, now: datetime, new_id: Callable[[], str], customer_id: str = ""
) -> tuple[Cart, Cart]:
    """The source, closed, and what it was poured into. What the target has already been told is not overruled.

    customer_id: who is signed in, and has the cart from then on; without one it stays whose it was.
    """
    moved = [replace(line, id=new_id()) for line in source.lines]
    filled = _changed(
        into,
        now,
        lines=_added(into.lines, moved, "from_cart_id"),
        codes=_with_codes(into.codes, source.codes),
        email=into.email or source.email,
        address=into.address or source.address,
        customer_id=customer_id or into.customer_id,
    )
    closed = _changed(source, now, state=State.MERGED, merged_into=into.id, lines=(), codes=(), email=b"", address=b"")
    return closed, filled


def forget_shopper(cart: Cart, now: datetime) -> Cart:
    """Without what says who they are."""
    return _changed(cart, now, email=b"", address=b"")


def complete(cart: Cart, order_id: str, now: datetime) -> Cart:
    return _changed(cart, now, state=State.COMPLETED, complete_time=now, order_id=order_id)


def reopen(cart: Cart, now: datetime) -> Cart:
    """Its order came to nothing; a cart that is no order's stays as it is."""
    is_done = cart.state is State.COMPLETED
    return _changed(cart, now, state=State.OPEN, complete_time=None, order_id=None) if is_done else cart


def abandon(cart: Cart, now: datetime) -> Cart | None:
    """The cart as abandoned; None where it isn't, or was told so before.

    Its update_time stays: being forgotten is no change of the shopper's.
    """
    is_left = cart.state is State.OPEN and cart.lines and cart.update_time <= now - ABANDONED_AFTER
    if not is_left or cart.abandon_time is not None:
        return None
    return replace(cart, abandon_time=now, version=cart.version + 1)


def deleted(cart: Cart) -> Cart:
    """The last that others are told of it."""
    return replace(cart, lines=(), codes=(), email=b"", address=b"", version=cart.version + 1)


def _changed(cart: Cart, now: datetime, **changes: object) -> Cart:
    after = replace(cart, **changes)  # type: ignore[arg-type]
    return cart if after == cart else replace(after, update_time=now, version=cart.version + 1)


def _added(lines: Sequence[Line], new: Iterable[Line], field: str) -> tuple[Line, ...]:
    """field: of the request that asks for too many."""
    by_key = {line.key: line for line in lines}
    for line in new:
        known = by_key.get(line.key)
        quantity = line.quantity + (known.quantity if known is not None else 0)
        if quantity > MOST_OF_A_LINE:
            why = f"together {quantity}, and a line has at most {MOST_OF_A_LINE}"
            raise InvalidArgument("QUANTITY_TOO_LARGE", f"{field}: {why}", fields={field: why})
        by_key[line.key] = replace(known or line, quantity=quantity)
    if len(by_key) > MOST_LINES:
        raise ResourceExhausted("CART_FULL", f"a cart has at most {MOST_LINES} lines", limit=str(MOST_LINES))
    return tuple(by_key.values())


def _with_codes(codes: Sequence[Code], new: Iterable[Code]) -> tuple[Code, ...]:
    known = {code.code: code for code in codes}
    for code in new:
        known.setdefault(code.code, code)
    if len(known) > MOST_CODES:
        raise ResourceExhausted("CODE_LIMIT_REACHED", f"a cart has at most {MOST_CODES} codes", limit=str(MOST_CODES))
    return tuple(known.values())


def _invalid(field: str, why: str) -> InvalidArgument:
    return InvalidArgument("FIELD_INVALID", f"{field}: {why}", fields={field: why})
