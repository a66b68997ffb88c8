"""The OpenAPI descriptions say what the contracts say: which verbs and paths there are, and what a body may be."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import protovalidate
import pytest
from google.api import annotations_pb2, httpbody_pb2
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message

import center
from center.shared.v1 import rules_pb2
from shared.runtime.rpc import rules
from tests.shared.test_contract import METHODS
from tests.support.json_schema import accepts, follow, matches

CALLERS = {"storefront": ("CALLER_SHOPPER", "CALLER_CUSTOMER"), "backoffice": ("CALLER_MERCHANT",)}
VERBS = {"get", "put", "post", "delete", "patch"}
HTTP: Any = annotations_pb2.http
EXAMPLES = 60
UUID = "0192f3c4-7b1a-7c3e-8d4f-1a2b3c4d5e6f"
TEXTS = (
    "", "a", "Ada", "EUR", "DE", "a-b", "main", "order.placed", "ADJUSTED", "x" * 65, "é" * 301, "two words", "1", "-1",
    "a_b", "/path", "https://example.com/a", "http://example.com", "*", "*/*", "image/png", "+4930123", "a@example.com",
    "€", "-", "0" * 64, "a\nb", UUID, UUID.upper(), UUID.replace("-", ""), "de-DE",
)  # fmt: skip


def _document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(center.__file__).with_name(f"{name}.openapi.json").read_text())
    return found


DOCUMENTS = {name: _document(name) for name in CALLERS}


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            yield path, verb, operation


def _shape(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def _bound(name: str) -> Iterator[tuple[str, str, MethodDescriptor]]:
    """What the contracts bind for an audience at a shop's domain: (verb, path, method)."""
    callers = {number for caller, number in rules_pb2.Caller.items() if caller in CALLERS[name]}
    for method in METHODS:
        at_shop = method.containing_service.full_name.startswith(("center.dataplane.", "center.shared."))
        if at_shop and rules.of(method).callers & callers and method.GetOptions().HasExtension(HTTP):
            rule = method.GetOptions().Extensions[HTTP]
            for each in (rule, *rule.additional_bindings):
                verb = each.WhichOneof("pattern")
                yield verb, getattr(each, verb), method


@pytest.mark.parametrize("name", CALLERS)
def test_every_binding_of_an_audience_is_described_and_nothing_else(name: str) -> None:
    described = {
        (verb, _shape(path), operation["operationId"]) for path, verb, operation in _operations(DOCUMENTS[name])
    }
    bound = {
        (verb, _shape(path), f"{method.containing_service.name}_{method.name}") for verb, path, method in _bound(name)
    }
    assert described == bound
    assert len(described) > 10


def test_a_merchants_method_is_not_told_to_shoppers() -> None:
    assert "post" not in DOCUMENTS["storefront"]["paths"]["/v1/products"]
    assert "post" in DOCUMENTS["backoffice"]["paths"]["/v1/backoffice/products"]


def test_what_no_shopper_may_call_has_a_prefix_of_its_own() -> None:
    shoppers = {(verb, path) for verb, path, _ in _bound("storefront")}
    merchants = {(verb, path) for verb, path, _ in _bound("backoffice")}
    assert {path for _, path in merchants - shoppers if not path.startswith("/v1/backoffice/")} == set()


@pytest.mark.parametrize("name", CALLERS)
def test_a_description_holds_together(name: str) -> None:
    document = DOCUMENTS[name]
    assert document["openapi"].startswith("3.1.") and document["info"]["title"] and document["info"]["version"]
    assert set(document) <= {"openapi", "info", "servers", "paths", "components", "security", "tags"}
    shapes = Counter(_shape(path) for path in document["paths"])
    assert shapes.most_common(1)[0][1] == 1
    ids = Counter(operation["operationId"] for *_, operation in _operations(document))
    assert ids.most_common(1)[0][1] == 1
    tags = {tag["name"] for tag in document["tags"]}
    for path, verb, operation in _operations(document):
        assert verb in VERBS
        assert set(operation["tags"]) <= tags
        placed = [(each["in"], each["name"]) for each in operation.get("parameters", ())]
        assert len(placed) == len(set(placed))
        assert {at for place, at in placed if place == "path"} == set(re.findall(r"\{([^}]+)\}", path))
        assert all(each["required"] for each in operation.get("parameters", ()) if each["in"] == "path")
        assert operation["summary"] and all(answer for answer in operation["responses"].values())
        schemes = document["components"]["securitySchemes"]
        assert all(proof in schemes for either in operation["security"] for proof in either)
    for reference in _references(document):
        assert follow(reference, document) is not None
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", key) for key in document["components"]["schemas"])


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for each in part.values():
            yield from _references(each)
    elif isinstance(part, list):
        for each in part:
            yield from _references(each)


BODIES = {
    method.full_name: (name, verb, path, method)
    for name in CALLERS
    for verb, path, method in _bound(name)
    if method.GetOptions().Extensions[HTTP].body == "*"
}


@pytest.mark.parametrize("method", BODIES)
def test_a_body_is_described_as_the_server_takes_it(method: str) -> None:
    """By examples around every limit that the description names, and by the rules that every server checks first."""
    name, verb, path, of = BODIES[method]
    document = DOCUMENTS[name]
    item = next(item for at, item in document["paths"].items() if _shape(at) == _shape(path))
    schema = item[verb]["requestBody"]["content"]["application/json"]["schema"]
    chance = random.Random(method)
    seen: Counter[bool] = Counter()
    limited = _has_limits(schema, document)
    while sum(seen.values()) < EXAMPLES or (limited and not seen[False] and sum(seen.values()) < 20 * EXAMPLES):
        body = _example(schema, document, chance)
        described = accepts(schema, body, document)
        assert _taken(of.input_type, body, path) == described, body
        seen[described] += 1
    assert seen[True] and bool(seen[False]) == limited, seen


def _taken(descriptor: Descriptor, body: dict[str, Any], path: str) -> bool:
    """Whether the server lets the body in, its path filled as right as can be."""
    message = message_factory.GetMessageClass(descriptor)()
    try:
        json_format.ParseDict(body, message)
    except json_format.ParseError:
        return False
    for field in re.findall(r"\{([^}=]+)", path):
        _fill(message, field.split("."))
    return not protovalidate.collect_violations(message)


def _fill(message: Message, path: list[str]) -> None:
    for part in path[:-1]:
        message = getattr(message, part)
    for value in (UUID, "order-placed"):
        setattr(message, path[-1], value)
        found = [violation.proto.field.elements for violation in protovalidate.collect_violations(message)]
        if path[-1] not in {elements[0].field_name for elements in found if elements}:
            return


def _example(schema: Any, document: Any, chance: random.Random, depth: int = 0) -> Any:
    """A value that is mostly right, and wrong in one place now and then."""
    if "$ref" in schema:
        return _example(follow(schema["$ref"], document), document, chance, depth)
    if "anyOf" in schema:
        return _example(chance.choice(schema["anyOf"]), document, chance, depth)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return "NO_SUCH_VALUE" if chance.random() < 0.02 else chance.choice(schema["enum"])
    kinds = schema.get("type", "object")
    kind = chance.choice(kinds) if isinstance(kinds, list) else kinds
    odd = chance.random() < 0.05
    if kind == "object":
        return _object(schema, document, chance, depth)
    if kind == "array":
        size = chance.choice((schema.get("minItems", 0), 1, 2, schema.get("maxItems", 2)))
        if odd:
            # Without a limit longer than any: one that the description forgot is seen.
            return [_example(schema["items"], document, chance, depth + 1)] * (schema.get("maxItems", 600) + 1)
        size = min(size, 20)
        return [_example(schema["items"], document, chance, depth + 1) for _ in range(size if depth < 5 else 0)]
    if kind in ("integer", "number"):
        least, most = _range(schema)
        return chance.choice((least - 1, most + 1)) if odd else chance.choice((least, most))
    if kind == "boolean":
        return chance.random() < 0.5
    return _text(schema, chance, odd)


def _object(schema: Any, document: Any, chance: random.Random, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if "additionalProperties" in schema:
        size = chance.choice((schema.get("minProperties", 0), 1, schema.get("maxProperties", 1)))
        names = [f"{chance.choice(TEXTS[1:5]).lower()}{n}" for n in range(min(size, 80))]
        return {name: _example(schema["additionalProperties"], document, chance, depth + 1) for name in names}
    needed = set(schema.get("required", ()))
    choices = [each["required"][0] for rule in schema.get("allOf", ()) for each in rule["oneOf"] if "required" in each]
    chosen = set(chance.sample(choices, k=min(len(choices), chance.choice((1, 1, 1, 1, 2, 0)))))
    for name, each in schema.get("properties", {}).items():
        wanted = name in chosen if name in choices else chance.random() < (0.97 if name in needed else 0.4)
        if wanted and (depth < 6 or name in needed):
            made[name] = _example(each, document, chance, depth + 1)
    return made


def _range(schema: Any) -> tuple[int, int]:
    """What is just within the limits; without any, what is within every type's."""
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in schema else None)
    most = schema.get("maximum", schema.get("exclusiveMaximum", 2) - 1 if "exclusiveMaximum" in schema else None)
    least = min(1, most or 1) if least is None else least
    return int(least), int(max(least, 100) if most is None else most)


def _text(schema: Any, chance: random.Random, odd: bool) -> str:
    match schema.get("format"):
        case "date-time":
            return "2026-01-31T12:00:00Z"
        case "field-mask":
            return "title"
        case "int64" | "uint64":
            # The limits of numbers are not for their form as strings, which both sides take.
            return str(_range(schema)[0])
    if schema.get("contentEncoding") == "base64":
        return "AAAA"
    if schema.get("pattern", "").startswith(r"^-?[0-9]+(\."):
        return "1.5s"
    right = [text for text in TEXTS if _fits(schema, text)]
    wrong = [text for text in TEXTS if not _fits(schema, text)]
    if "maxLength" in schema and "pattern" not in schema:
        wrong.append("x" * (schema["maxLength"] + 1))
        right.append("x" * schema["maxLength"])
    pool = wrong if odd and wrong else right or wrong
    return chance.choice(pool)


def _fits(schema: Any, text: str) -> bool:
    return accepts({key: schema[key] for key in ("pattern", "minLength", "maxLength") if key in schema}, text, {})


def _has_limits(schema: Any, document: Any) -> bool:
    words = json.dumps(schema) + "".join(json.dumps(follow(to, document)) for to in _references(schema))
    return re.search(r'"(required|pattern|maxLength|minimum|maximum|maxItems|enum)"', words) is not None


def test_a_pattern_is_read_as_the_server_reads_it() -> None:
    assert matches("^[A-Z]{3}$", "EUR") and not matches("^[A-Z]{3}$", "EUR\n")


def test_an_answer_that_is_no_message_is_described_as_bytes() -> None:
    media = DOCUMENTS["storefront"]["paths"]["/media/{id}"]["get"]["responses"]["200"]
    assert media["content"] == {"*/*": {}}
    assert httpbody_pb2.HttpBody.DESCRIPTOR.full_name not in json.dumps(DOCUMENTS["storefront"])
