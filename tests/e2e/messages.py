"""Requests that nobody should send: built from the descriptors, mostly right to get far, and odd somewhere."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from center.buf.validate import validate_pb2

# Stands for bytes that are no UTF-8; exchanged for them after serialisation, since no Python text can hold them.
_NO_UTF8_MARK = "@no-utf8@"
_NO_UTF8 = b"\xff\xc0\xfe\x80\xed\xa0\x80zz"
assert len(_NO_UTF8) == len(_NO_UTF8_MARK)

_INT64 = (0, 1, -1, 2**31 - 1, 2**31, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63))
_ODD_INTEGERS: Mapping[int, Sequence[int]] = {
    FieldDescriptor.CPPTYPE_INT32: [value for value in _INT64 if -(2**31) <= value < 2**31],
    FieldDescriptor.CPPTYPE_INT64: _INT64,
    FieldDescriptor.CPPTYPE_UINT32: [0, 1, 65535, 65536, 2**32 - 1],
    FieldDescriptor.CPPTYPE_UINT64: [0, 1, 2**32, 2**64 - 1],
}
_ODD_FLOATS = (0.0, -0.0, -1.0, 1e308, float("nan"), float("inf"), float("-inf"))
_ODD_TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\r\n",
    "😀",
    "\U0001d54f" * 64,
    "é" * 300,
    "ﬃ\u202e\ufeff",
    "%s%n{}'\"\\;--",
    "../../etc/passwd",
    "null",
    "x" * 64,
    "x" * 5000,
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    "{00000000-0000-0000-0000-000000000000}",
    _NO_UTF8_MARK,
)
# By the name of the field: what is right, or right enough to be looked at closely.
_GOOD_TEXTS: Mapping[str, Sequence[str]] = {
    "page_token": ("AAAA", "====", "e30=", "ñ" * 40, "A" * 4000),
    "filter": (
        'state = "ACTIVE"',
        'code = "input"',
        "code = *",
        'labels.a = "b" OR NOT labels.b:*',
        'create_time > "2020-01-01T00:00:00Z"',
        'create_time > "9999-12-31T23:59:59.999999999Z"',
        'create_time < "-0001-01-01T00:00:00Z"',
        'update_time > "yesterday"',
        "revision > 99999999999999999999",
        "id = 'x'",
        'id = "00000000-0000-0000-0000-000000000000"',
        'tenant_id = "x\0"',
        "(" * 2000,
        "NOT " * 500 + 'code = "a"',
        " OR ".join(['code = "a"'] * 300),
        'code : "%_\\"',
        "code = ",
        "= = =",
        '"unfinished',
        "a.b.c.d = 1",
        "code = 1 AND 2",
    ),
    "order_by": ("code", "code desc", "create_time desc, code", "code,code", "nosuch", "code descending", ","),
    "paths": ("*", "display_name", "labels", "labels.a", "placement.residency", "id", "etag", "", ".", "a..b", "status",
              "title", "variants", "variants.sku", "endpoints", "capacity", "theme.accent_color", "currency_code",
              "time_zone", "display_name.x", "\0", "DISPLAY_NAME", "displayName"),
    "code": ("input", "new-one", "a", "a" * 63, "a" * 64, "-a", "A"),
    "currency_code": ("EUR", "JPY", "BHD", "XXX", "ZZZ", "eur", ""),
    "time_zone": ("Europe/Berlin", "UTC", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "."),
    "support_email": ("a@b.example", "a@b", "@", "a b@c.d"),
    "locale": ("en-GB", "de", "xx-Latn-DE", "e"),
    "reason": ("because", "x" * 500, "x" * 501),
    "name": ("input.example", "operations/00000000-0000-0000-0000-000000000000", "com", "co.uk", "*.example.com",
             "a" * 64 + ".example", "xn--a.example", "bücher.example", "EXAMPLE.com.", "1.2.3.4", "localhost",
             "input.center.localhost", "center.localhost", "a..b", "_x.example", "operations", "operations/-"),
    "domain": ("input.center.localhost", "INPUT.center.localhost.:80", "no.such.example", "[::1]:80", ":"),
    "host": ("input.center.localhost", "INPUT.CENTER.localhost.:80", "no.such.example", ":", "center.localhost"),
    "domains": ("one.example", "two.example", "com", "bücher.example"),
    "sku": ("SKU-1", "SKU-2", "a b", "x" * 65),
    "handle": ("a-product", "a", "-", "a" * 128, "a" * 129),
    "query": ("lamp", '"red lamp" -blue', "&|!:*()<->'", "tenant:x", "-", '"', "\\", "the"),
    "table": ("products", "variants", "idempotency", "tenants", "pg_authid", 'x"; drop table products; --'),
    "columns": ("id", "tenant_id", "title", "doc", "nosuch"),
    "schema_version": ("0001", "9999"),
    "instance": ("fuzz", "fuzz-2"),
    "region_id": ("eu", "us", "nowhere", ""),
    "residency": ("eu", "us", "nowhere"),
    "plan_id": ("standard", "fuzz", "nosuch", ""),
    "feature_id": ("fuzz_units", "fuzz_switch", "fuzz_rate", "nosuch", ""),
    "add_on_id": ("fuzz-more", "nosuch"),
    "etag": ("", "1", "2", "x"),
    "locality": ("eu",),
}  # fmt: skip

_TIMESTAMP, _DURATION = "google.protobuf.Timestamp", "google.protobuf.Duration"
_SECONDS = {
    _TIMESTAMP: (0, 1, 1_900_000_000, 4_000_000_000, 253_402_300_799, 253_402_300_800, -62_135_596_801, -(2**63)),
    _DURATION: (0, 1, 600, 601, 31_536_001, 315_576_000_001, -1, -(2**63), 2**63 - 1),
}  # fmt: skip
_NANOS = (0, 0, 0, 1, 999_999_999, 10**9, -1, 2**31 - 1, -(2**31))


class Requests:
    """Strategies for serialised requests of one kind; `known` are names and ids that exist, by field name."""

    def __init__(self, known: Mapping[str, Sequence[str]]) -> None:
        self.known = known

    def encoded(self, descriptor: Descriptor) -> st.SearchStrategy[bytes]:
        """Mostly messages; now and then what is left of one that was cut or had bits flipped, or any bytes."""
        right = st.randoms().map(lambda rng: self._built(descriptor, rng))
        damaged = st.builds(_damaged, right, st.randoms())
        return st.one_of(right, right, right, damaged, st.binary(max_size=40))

    def _built(self, descriptor: Descriptor, rng: random.Random) -> bytes:
        # A request is odd everywhere, in a few places, or nowhere.
        oddness = rng.choice((0.0, 0.03, 0.1, 0.3, 1.0))
        message = self._message(descriptor, rng, oddness, 0)
        return message.SerializeToString().replace(_NO_UTF8_MARK.encode(), _NO_UTF8)

    def _message(self, descriptor: Descriptor, rng: random.Random, oddness: float, depth: int) -> Message:
        message: Any = message_factory.GetMessageClass(descriptor)()
        if descriptor.full_name in _SECONDS:
            message.seconds = rng.choice(_SECONDS[descriptor.full_name])
            message.nanos = rng.choice(_NANOS)
            return message
        chosen = [rng.choice(oneof.fields).name for oneof in descriptor.oneofs]
        for field in descriptor.fields:
            if field.containing_oneof is not None and field.name not in chosen:
                continue
            if rng.random() < max(0.15, oddness / 3) or depth > 6:
                continue
            self._fill(message, field, rng, oddness, depth)
        return message

    def _fill(self, message: Any, field: FieldDescriptor, rng: random.Random, oddness: float, depth: int) -> None:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value_field = field.message_type.fields_by_name["value"]
            for _ in range(rng.choice((0, 1, 2)) if rng.random() >= oddness else rng.choice((1, 65))):
                key = f"k{rng.randrange(100)}" if rng.random() >= oddness else rng.choice(_ODD_TEXTS)
                if value_field.message_type is None and value_field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
                    getattr(message, field.name)[key] = self._scalar(value_field, rng, oddness)
            return
        if field.is_repeated:
            many = getattr(message, field.name)
            count = rng.choice((0, 1, 2)) if rng.random() >= oddness else rng.choice((1, 33, 51, 501, 1001))
            if field.message_type is not None:
                one = self._message(field.message_type, rng, oddness, depth + 1)
                many.extend([one] * (count if one.ByteSize() < 2000 else min(count, 20)))
            else:
                distinct = min(count, 20)
                values = [self._scalar(field, rng, oddness) for _ in range(distinct)]
                many.extend((values * (count // max(distinct, 1) + 1))[:count])
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(self._message(field.message_type, rng, oddness, depth + 1))
        else:
            setattr(message, field.name, self._scalar(field, rng, oddness))

    def _scalar(self, field: FieldDescriptor, rng: random.Random, oddness: float) -> Any:
        odd = rng.random() < oddness
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return rng.choice((b"", b"\0" * 8, b"PGCOPY\n\xff\r\n\0" + b"\0" * 8 + b"\xff\xff", rng.randbytes(60)))
            case FieldDescriptor.CPPTYPE_STRING:
                return self._odd_text(field, rng) if odd else self._text(field, rng)
            case FieldDescriptor.CPPTYPE_ENUM:
                return rng.choice((-1, 999, 2**31 - 1)) if odd else rng.choice(field.enum_type.values).number
            case FieldDescriptor.CPPTYPE_BOOL:
                return rng.random() < 0.5
            case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
                return rng.choice(_ODD_FLOATS) if odd else rng.random()
        return rng.choice(_ODD_INTEGERS[field.cpp_type]) if odd else rng.choice((0, 1, 3, 7, 50))

    def _text(self, field: FieldDescriptor, rng: random.Random) -> str:
        if field.name == "request_id":
            return rng.choice(("", f"{rng.getrandbits(128):032x}"[:8] + "-0000-7000-8000-000000000000"))
        choices = [*self.known.get(field.name, ()), *_GOOD_TEXTS.get(field.name, ())]
        if choices and rng.random() < 0.9:
            return rng.choice(choices)
        return rng.choice(("a", "some words", "name-1", "00000000-0000-7000-8000-000000000001"))

    def _odd_text(self, field: FieldDescriptor, rng: random.Random) -> str:
        limits = field.GetOptions().Extensions[validate_pb2.field].string
        most = limits.max_len or 100
        return rng.choice((*_ODD_TEXTS, "x" * most, "x" * (most + 1), "😀" * most))


def _damaged(encoded: bytes, rng: random.Random) -> bytes:
    """Cut somewhere, or with a few bytes changed."""
    if not encoded:
        return rng.randbytes(rng.randrange(1, 20))
    if rng.random() < 0.4:
        return encoded[: rng.randrange(len(encoded))]
    changed = bytearray(encoded)
    for _ in range(rng.randrange(1, 4)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)
