"""Writes what a shop's domain speaks as OpenAPI 3.1, from the image: a description for shoppers, one for merchants.

A message is described as Envoy's transcoder takes and gives it: the JSON mapping of Protocol Buffers with its names in
lowerCamelCase. Rules of buf.validate for which JSON Schema has no word stay with the server alone. Unknown fields of a
body are passed over, and so no schema forbids them.
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto

from center.buf.validate import validate_pb2
from center.shared.v1 import rules_pb2

Schema = dict[str, Any]
Field = FieldDescriptorProto

# The packages whose services a shop's cluster serves, at its domain.
OF_SHOPS = ("center.dataplane.", "center.shared.")
_HTTP: Any = annotations_pb2.http
_RULES: Any = rules_pb2.rules
_FIELD: Any = validate_pb2.field
_ONEOF: Any = validate_pb2.oneof

# As Envoy turns the codes of gRPC into statuses of HTTP.
STATUSES = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499, "INTERNAL": 500, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}  # fmt: skip
# What the contracts do not say again at each field.
CONVENTIONS = {
    "page_size": "How many at most; 0 asks for the default.",
    "page_token": "The `nextPageToken` of the page before, with all else as it was; empty for the first page.",
    "next_page_token": "Asks for the next page; empty on the last one.",
    "filter": "An expression over the filter fields, as AIP-160 has it.",
    "order_by": "A field, and `desc` behind it for the other direction, as AIP-132 has it.",
    "update_mask": "The fields to change, in lowerCamelCase, with commas between them.",
    "request_id": "A UUID of the caller's choice: the same request again has no second effect and the same answer.",
    "etag": "Names this very version; one that is given with a change guards against a lost update.",
}
UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
WHOLE = {
    Field.TYPE_INT32: ("int32", "int32"), Field.TYPE_SINT32: ("int32", "sint32"),
    Field.TYPE_SFIXED32: ("int32", "sfixed32"), Field.TYPE_UINT32: ("uint32", "uint32"),
    Field.TYPE_FIXED32: ("uint32", "fixed32"), Field.TYPE_INT64: ("int64", "int64"),
    Field.TYPE_SINT64: ("int64", "sint64"), Field.TYPE_SFIXED64: ("int64", "sfixed64"),
    Field.TYPE_UINT64: ("uint64", "uint64"), Field.TYPE_FIXED64: ("uint64", "fixed64"),
}  # fmt: skip
_P = "google.protobuf."
WELL_KNOWN: dict[str, Schema] = {
    f"{_P}Timestamp": {"type": "string", "format": "date-time"},
    f"{_P}Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    f"{_P}FieldMask": {"type": "string", "format": "field-mask"},
    f"{_P}Struct": {"type": "object"},
    f"{_P}Value": {},
    f"{_P}ListValue": {"type": "array"},
    f"{_P}Empty": {"type": "object"},
    f"{_P}Any": {"type": "object", "properties": {"@type": {"type": "string"}}, "required": ["@type"]},
    f"{_P}StringValue": {"type": "string"},
    f"{_P}BoolValue": {"type": "boolean"},
    f"{_P}Int32Value": {"type": "integer"},
    f"{_P}Int64Value": {"type": ["string", "integer"]},
    f"{_P}DoubleValue": {"type": "number"},
}
HTTP_BODY = "google.api.HttpBody"
# What the details of a refusal are made of; ErrorInfo is there always.
DETAILS = ("ErrorInfo", "BadRequest", "QuotaFailure", "PreconditionFailure", "RetryInfo")


@dataclass(frozen=True)
class Audience:
    """For whom a description is. callers: whose methods it holds; token: (name, what it is) of a way to prove it."""

    file: str
    title: str
    about: str
    callers: tuple[str, ...]
    tokens: Mapping[str, tuple[str, str]]


AUDIENCES = (
    Audience(
        "storefront.openapi.json",
        "Storefront API",
        "What shoppers do at a shop's own domain.",
        ("CALLER_SHOPPER", "CALLER_CUSTOMER"),
        {"CALLER_CUSTOMER": ("customerSession", "What a customer of the shop got for signing in.")},
    ),
    Audience(
        "backoffice.openapi.json",
        "Backoffice API",
        "What a shop's own people do at its domain.",
        ("CALLER_MERCHANT",),
        {"CALLER_MERCHANT": ("backofficeToken", "A session, an API key or a backoffice token of this shop.")},
    ),
)


@dataclass(frozen=True)
class Image:
    """The contracts by name: messages, enums and what was written above each of them."""

    files: descriptor_pb2.FileDescriptorSet
    messages: dict[str, DescriptorProto] = field(default_factory=dict)
    enums: dict[str, EnumDescriptorProto] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def read(path: Path) -> "Image":
        image = Image(descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()))
        for file in image.files.file:
            said = {tuple(at.path): at.leading_comments for at in file.source_code_info.location}
            for number, message in enumerate(file.message_type):
                image._message(file.package, message, (4, number), said)
            for number, enum in enumerate(file.enum_type):
                image._enum(file.package, enum, (5, number), said)
            for number, service in enumerate(file.service):
                name = f"{file.package}.{service.name}"
                image.comments[name] = said.get((6, number), "")
                for place, method in enumerate(service.method):
                    image.comments[f"{name}.{method.name}"] = said.get((6, number, 2, place), "")
        return image

    def _message(
        self, scope: str, message: DescriptorProto, path: tuple[int, ...], said: Mapping[tuple[int, ...], str]
    ) -> None:
        name = f"{scope}.{message.name}"
        self.messages[name] = message
        self.comments[name] = said.get(path, "")
        for number, each in enumerate(message.field):
            self.comments[f"{name}.{each.name}"] = said.get((*path, 2, number), "")
        for number, nested in enumerate(message.nested_type):
            self._message(name, nested, (*path, 3, number), said)
        for number, enum in enumerate(message.enum_type):
            self._enum(name, enum, (*path, 4, number), said)

    def _enum(
        self, scope: str, enum: EnumDescriptorProto, path: tuple[int, ...], said: Mapping[tuple[int, ...], str]
    ) -> None:
        name = f"{scope}.{enum.name}"
        self.enums[name] = enum
        self.comments[name] = said.get(path, "")
        for number, value in enumerate(enum.value):
            self.comments[f"{name}.{value.name}"] = said.get((*path, 2, number), "")

    def said(self, name: str) -> str:
        """What is written above it: a paragraph is a line."""
        paragraphs = re.split(r"\n\s*\n", self.comments.get(name, ""))
        return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).strip()


@dataclass
class Schemas:
    """The schemas of messages and enums that a description refers to, each made when it is first named."""

    image: Image
    made: dict[str, Schema] = field(default_factory=dict)

    def named(self, name: str) -> Schema:
        """A reference, or the schema itself where JSON has a form of its own for the type."""
        name = name.lstrip(".")
        if name in WELL_KNOWN:
            return dict(WELL_KNOWN[name])
        key = name.removeprefix("center.")
        if key not in self.made:
            self.made[key] = {}  # it may refer to itself
            self.made[key] = self.enum(name) if name in self.image.enums else self.message(name)
        return {"$ref": f"#/components/schemas/{key}"}

    def enum(self, name: str, allowed: frozenset[int] | None = None) -> Schema:
        values = [each for each in self.image.enums[name].value if allowed is None or each.number in allowed]
        about = [self.image.said(name)]
        about += [f"- `{v.name}`: {text}" for v in values if (text := self.image.said(f"{name}.{v.name}"))]
        return _described({"type": "string", "enum": [value.name for value in values]}, "\n".join(filter(None, about)))

    def message(self, name: str, without: frozenset[str] = frozenset()) -> Schema:
        """without: paths of fields that come in the address instead."""
        message = self.image.messages[name.lstrip(".")]
        properties: Schema = {}
        required = []
        for each in message.field:
            if each.name in without:
                continue
            inner = frozenset(path.partition(".")[2] for path in without if path.startswith(f"{each.name}."))
            properties[each.json_name] = self.field(name, each, inner)
            # What has a part in the address is there.
            if refuses_absence(each) and not inner:
                required.append(each.json_name)
        schema: Schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        if choices := _choices(message):
            schema["allOf"] = choices
        return _described(schema, self.image.said(name))

    def field(self, owner: str, each: Field, without: frozenset[str] = frozenset()) -> Schema:
        rules = each.options.Extensions[_FIELD]
        entry = self.image.messages.get(each.type_name.lstrip("."))
        if entry is not None and entry.options.map_entry:
            schema = self._map(entry, rules.map)
        elif each.label == Field.LABEL_REPEATED:
            schema = {"type": "array", "items": self._one(each, rules.repeated.items, frozenset())}
            _limits(schema, rules.repeated, min_items="minItems", max_items="maxItems", unique="uniqueItems")
        else:
            schema = self._one(each, rules, without)
        if each.options.deprecated:
            schema["deprecated"] = True
        said = self.image.said(f"{owner.lstrip('.')}.{each.name}") or CONVENTIONS.get(each.name, "")
        return _described(schema, said)

    def _map(self, entry: DescriptorProto, rules: validate_pb2.MapRules) -> Schema:
        key, value = entry.field
        schema: Schema = {"type": "object", "additionalProperties": self._one(value, rules.values, frozenset())}
        if names := {k: v for k, v in self._one(key, rules.keys, frozenset()).items() if k in ("pattern", "maxLength")}:
            schema["propertyNames"] = names
        return _limits(schema, rules, min_pairs="minProperties", max_pairs="maxProperties")

    def _one(self, each: Field, rules: validate_pb2.FieldRules, without: frozenset[str]) -> Schema:
        """One value of a field, repeated or not."""
        if each.type == Field.TYPE_MESSAGE:
            return self.message(each.type_name.lstrip("."), without) if without else self.named(each.type_name)
        if each.type == Field.TYPE_ENUM:
            allowed = _members(rules.enum, [value.number for value in self.image.enums[each.type_name[1:]].value])
            return self.named(each.type_name) if allowed is None else self.enum(each.type_name[1:], allowed)
        schema = _scalar(each, rules)
        empty_too = rules.ignore in (validate_pb2.IGNORE_IF_ZERO_VALUE, validate_pb2.IGNORE_ALWAYS)
        if rules.ignore == validate_pb2.IGNORE_ALWAYS:
            return {key: schema[key] for key in ("type", "format") if key in schema and schema[key] != "uuid"}
        if empty_too and each.type == Field.TYPE_STRING and set(schema) > {"type"}:
            return {"anyOf": [schema, {"const": ""}]}
        if empty_too and each.type in WHOLE and set(schema) > {"type", "format"}:
            return {"anyOf": [schema, {"enum": [0, "0"]}]}
        return schema


def _scalar(each: Field, rules: validate_pb2.FieldRules) -> Schema:
    if each.type in WHOLE:
        form, kind = WHOLE[each.type]
        schema: Schema = {"type": "integer", "format": form}
        if form.endswith("64"):
            # Given as a string, taken as either: a script's numbers are exact up to 2^53 only.
            schema |= {"type": ["string", "integer"], "pattern": "^-?[0-9]+$"}
        return _bounds(schema, getattr(rules, kind))
    if each.type in (Field.TYPE_DOUBLE, Field.TYPE_FLOAT):
        return _bounds({"type": "number"}, rules.double if each.type == Field.TYPE_DOUBLE else rules.float)
    if each.type == Field.TYPE_BOOL:
        return {"type": "boolean"}
    if each.type == Field.TYPE_BYTES:
        schema = {"type": "string", "contentEncoding": "base64"}
        if rules.bytes.HasField("max_len"):
            schema["maxLength"] = -(-rules.bytes.max_len // 3) * 4
        return schema
    return _text(rules.string)


def _text(rules: validate_pb2.StringRules) -> Schema:
    schema: Schema = {"type": "string"}
    if rules.HasField("len"):
        schema |= {"minLength": rules.len, "maxLength": rules.len}
    _limits(schema, rules, min_len="minLength", max_bytes="maxLength", max_len="maxLength", pattern="pattern")
    if "pattern" in schema:
        # RE2 takes \z; ECMA-262 does not, and its $ is the very end.
        schema["pattern"] = schema["pattern"].replace(r"\z", "$")
    if rules.uuid:
        schema |= {"format": "uuid", "pattern": f"^{UUID}$"}
    for form in ("email", "hostname", "ipv4", "ipv6", "uri"):
        if getattr(rules, form):
            schema["format"] = form
    if getattr(rules, "in"):
        schema["enum"] = list(getattr(rules, "in"))
    if rules.HasField("const"):
        schema["const"] = rules.const
    return schema


def _bounds(schema: Schema, rules: Any) -> Schema:
    _limits(schema, rules, gte="minimum", gt="exclusiveMinimum", lte="maximum", lt="exclusiveMaximum")
    if getattr(rules, "in"):
        schema["enum"] = list(getattr(rules, "in"))
    return schema


def _limits(schema: Schema, rules: Any, **words: str) -> Schema:
    """words: the rule in buf.validate -> the keyword of JSON Schema."""
    for rule, keyword in words.items():
        if rules.HasField(rule):
            schema[keyword] = getattr(rules, rule)
    return schema


def _members(rules: validate_pb2.EnumRules, numbers: list[int]) -> frozenset[int] | None:
    """The values of an enum that are allowed, None if all are."""
    listed = getattr(rules, "in")
    if not listed and not rules.not_in and not rules.HasField("const"):
        return None
    allowed = {rules.const} if rules.HasField("const") else set(listed or numbers)
    return frozenset(allowed - set(rules.not_in))


def _choices(message: DescriptorProto) -> list[Schema]:
    """What JSON Schema says of each oneof: one of them, or at most one."""
    found: list[Schema] = []
    for number, oneof in enumerate(message.oneof_decl):
        members = [
            each.json_name
            for each in message.field
            if each.HasField("oneof_index") and each.oneof_index == number and not each.proto3_optional
        ]
        alone: list[Schema] = [{"required": [name]} for name in members]
        if len(members) > 1 and not oneof.options.Extensions[_ONEOF].required:
            alone.append({"not": {"anyOf": list(alone)}})
        if members and (len(members) > 1 or oneof.options.Extensions[_ONEOF].required):
            found.append({"oneOf": alone})
    return found


def refuses_absence(each: Field) -> bool:
    """Whether a request without the field is refused, by the field's own rules; absent is the type's zero."""
    rules: validate_pb2.FieldRules = each.options.Extensions[_FIELD]
    if rules.ignore != validate_pb2.IGNORE_UNSPECIFIED:
        return False
    if rules.required:
        return True
    if each.label == Field.LABEL_REPEATED:
        return bool(rules.repeated.min_items or rules.map.min_pairs)
    if each.type == Field.TYPE_MESSAGE or each.HasField("oneof_index"):
        return False
    if each.type == Field.TYPE_STRING:
        return _refuses(_text(rules.string), "")
    if each.type == Field.TYPE_BYTES:
        return bool(rules.bytes.min_len or rules.bytes.len)
    if each.type == Field.TYPE_ENUM:
        allowed = _members(rules.enum, [0])
        return allowed is not None and 0 not in allowed
    if each.type in WHOLE:
        return _refuses(_scalar(each, rules), 0)
    return False


def _refuses(schema: Schema, zero: str | int) -> bool:
    if isinstance(zero, str):
        pattern = re.sub(r"\\[pP](\{\w+\}|\w)", ".", schema.get("pattern", ""))  # `re` has no such classes
        return bool(schema.get("minLength")) or not re.search(pattern, "") or zero not in schema.get("enum", [""])
    return (
        schema.get("minimum", 0) > 0
        or schema.get("maximum", 0) < 0
        or schema.get("exclusiveMinimum", -1) >= 0
        or schema.get("exclusiveMaximum", 1) <= 0
        or zero not in schema.get("enum", [0])
    )


def _described(schema: Schema, text: str) -> Schema:
    return {**schema, "description": text} if text else schema


@dataclass(frozen=True)
class Binding:
    """One method of a service at one verb and path."""

    service: str
    method: descriptor_pb2.MethodDescriptorProto
    verb: str
    template: str
    body: str

    @property
    def path(self) -> str:
        return re.sub(r"\{([^}=]+)(=[^}]*)?\}", r"{\1}", self.template)

    @property
    def shape(self) -> str:
        """What one path of a description differs from the others in: its parameters' names are not."""
        return re.sub(r"\{[^}]*\}", "{}", self.template)

    @property
    def in_path(self) -> list[str]:
        return re.findall(r"\{([^}=]+)", self.template)

    @property
    def role(self) -> str:
        """The least role that a merchant needs; empty for the usual one."""
        number = self.method.options.Extensions[_RULES].role
        return rules_pb2.StaffRole.Name(number).removeprefix("STAFF_ROLE_") if number else ""

    @property
    def callers(self) -> set[str]:
        return {rules_pb2.Caller.Name(each) for each in self.method.options.Extensions[_RULES].callers}


def bindings(image: Image, audience: Audience) -> Iterator[Binding]:
    """Every verb and path at which a shop's domain answers this audience."""
    for file in image.files.file:
        if not file.package.startswith(OF_SHOPS):
            continue
        for service in file.service:
            for method in service.method:
                rule = method.options.Extensions[_HTTP]
                for each in (rule, *rule.additional_bindings):
                    verb = each.WhichOneof("pattern")
                    if verb is None or verb == "custom":
                        continue
                    found = Binding(f"{file.package}.{service.name}", method, verb, getattr(each, verb), each.body)
                    if found.callers & set(audience.callers):
                        yield found


def description(image: Image, audience: Audience) -> Schema:
    """The whole document."""
    schemas = Schemas(image)
    paths: dict[str, Schema] = defaultdict(dict)
    tags: dict[str, str] = {}
    shapes: dict[str, str] = {}
    for binding in bindings(image, audience):
        path = shapes.setdefault(binding.shape, binding.path)
        paths[path][binding.verb] = operation(image, schemas, audience, binding, path)
        tags[binding.service.rpartition(".")[2]] = image.said(binding.service)
    refusals = _refusals(schemas)
    known = rules_pb2.Caller.DESCRIPTOR.values_by_name
    tokens = {name: about for caller, (name, about) in audience.tokens.items() if caller in known}
    return {
        "openapi": "3.1.1",
        "info": {"title": audience.title, "version": "v1", "description": audience.about},
        "servers": [{"url": "/", "description": "The shop's own domain."}],
        "tags": [{"name": name, "description": text} for name, text in sorted(tags.items())],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted({**schemas.made, **refusals}.items())),
            "responses": {"Refused": _refused("What else went wrong.")},
            "headers": {"X-Request-Id": {"description": "Names the call in logs.", "schema": {"type": "string"}}},
            "securitySchemes": {
                name: {"type": "http", "scheme": "bearer", "description": about}
                for name, about in sorted(tokens.items())
            },
        },
    }


def operation(image: Image, schemas: Schemas, audience: Audience, binding: Binding, at: str) -> Schema:
    """at: the path with the names that its parameters have there."""
    method = binding.method
    text, errors = _without_errors(image.said(f"{binding.service}.{method.name}"))
    made: Schema = {
        "operationId": f"{binding.service.rpartition('.')[2]}_{method.name}",
        "tags": [binding.service.rpartition(".")[2]],
        "summary": re.split(r"(?<=[.;:])\s", text, maxsplit=1)[0].rstrip(".;:"),
        "description": text,
    }
    if parameters := list(_parameters(image, schemas, binding, at)):
        made["parameters"] = parameters
    if binding.body:
        made["requestBody"] = _request_body(image, schemas, binding)
    made["responses"] = {"200": _answer(schemas, method), **_refusals_of(errors)}
    made["responses"]["default"] = {"$ref": "#/components/responses/Refused"}
    proofs: list[Schema] = [{name: []} for caller, (name, _) in audience.tokens.items() if caller in binding.callers]
    if "CALLER_MERCHANT" in audience.callers and (role := binding.role):
        made["description"] += f"\n\nNeeds the role {role}."
    made["security"] = [*([{}] if "CALLER_SHOPPER" in binding.callers else []), *proofs]
    return made


def _parameters(image: Image, schemas: Schemas, binding: Binding, at: str) -> Iterator[Schema]:
    for name, path in zip(re.findall(r"\{([^}]+)\}", at), binding.in_path, strict=True):
        yield {"name": name, "in": "path", "required": True, **_parameter(*_leaf(image, binding, path), schemas)}
    if binding.body == "*":
        return
    for name, owner, each in _leaves(image, binding.method.input_type, "", ()):
        top = name.partition(".")[0]
        if name in (_json_path(image, binding, path) for path in binding.in_path) or top == binding.body:
            continue
        wanted = {"required": True} if "." not in name and refuses_absence(each) else {}
        yield {"name": name, "in": "query", **wanted, **_parameter(owner, each, schemas)}


def _parameter(owner: str, each: Field, schemas: Schemas) -> Schema:
    schema = schemas.field(owner, each)
    text = schema.pop("description", "")
    return _described({"schema": schema}, text)


def _leaf(image: Image, binding: Binding, path: str) -> tuple[str, Field]:
    """The message and the field that a path such as `product.id` ends at."""
    owner, *rest = binding.method.input_type.lstrip("."), *path.split(".")
    for name in rest:
        each = next(each for each in image.messages[owner].field if each.name == name)
        last, owner = owner, each.type_name.lstrip(".")
    return last, each


def _json_path(image: Image, binding: Binding, path: str) -> str:
    names = path.split(".")
    return ".".join(_leaf(image, binding, ".".join(names[: n + 1]))[1].json_name for n in range(len(names)))


def _leaves(image: Image, owner: str, prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, str, Field]]:
    """(name in a query, message, field) of whatever a query can say."""
    owner = owner.lstrip(".")
    for each in image.messages[owner].field:
        kind, repeated = each.type_name.lstrip("."), each.label == Field.LABEL_REPEATED
        if each.type != Field.TYPE_MESSAGE or kind in WELL_KNOWN:
            yield f"{prefix}{each.json_name}", owner, each
        elif not repeated and kind not in (*above, HTTP_BODY):
            yield from _leaves(image, kind, f"{prefix}{each.json_name}.", (*above, owner))


def _request_body(image: Image, schemas: Schemas, binding: Binding) -> Schema:
    if binding.body == "*":
        taken = frozenset(binding.in_path)
        name = binding.method.input_type
        schema = schemas.message(name, taken) if taken else schemas.named(name)
        return {"required": True, "content": {"application/json": {"schema": schema}}}
    owner, each = _leaf(image, binding, binding.body)
    if each.type_name == f".{HTTP_BODY}":
        return {"required": True, "content": {"*/*": {}}}
    return {"required": True, "content": {"application/json": {"schema": schemas.field(owner, each)}}}


def _answer(schemas: Schemas, method: descriptor_pb2.MethodDescriptorProto) -> Schema:
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if method.output_type == f".{HTTP_BODY}":
        return {"description": "The content itself.", "headers": headers, "content": {"*/*": {}}}
    schema = schemas.named(method.output_type)
    if not method.server_streaming:
        return {"description": "Done.", "headers": headers, "content": {"application/json": {"schema": schema}}}
    content = {"application/json": {"schema": {"type": "array", "items": schema}}}
    return {"description": "Answers as they come, as one list.", "headers": headers, "content": content}


def _without_errors(text: str) -> tuple[str, list[tuple[str, str]]]:
    """(text, errors) of a method's comment; an error is its code and what is said of it, its reason first."""
    text, _, said = text.partition("Errors:")
    pieces = re.split(r"\b([A-Z]+(?:_[A-Z]+)*)/(?=[A-Z])", said)
    found = zip(pieces[1::2], pieces[2::2], strict=True)
    return text.strip(), [(code, why.strip(" .,;").removesuffix(" and")) for code, why in found if code in STATUSES]


def _refusals_of(errors: list[tuple[str, str]]) -> Schema:
    by_status: dict[int, list[str]] = defaultdict(list)
    for code, why in errors:
        reason, _, more = why.partition(" ")
        by_status[STATUSES[code]].append(f"- {code}: `{reason}` {more}".rstrip())
    return {str(status): _refused("\n".join(lines)) for status, lines in sorted(by_status.items())}


def _refused(text: str) -> Schema:
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/google.rpc.Status"}}}
    return {"description": text, "headers": headers, "content": content}


def _refusals(schemas: Schemas) -> dict[str, Schema]:
    """google.rpc.Status as JSON: each detail says its type."""
    known = []
    for name in DETAILS:
        detail = schemas.message(f"google.rpc.{name}")
        told = {"@type": {"const": f"type.googleapis.com/google.rpc.{name}"}, **detail["properties"]}
        known.append({**detail, "properties": told, "required": ["@type"], "title": name})
    details = {"type": "array", "items": {"anyOf": [*known, WELL_KNOWN[f"{_P}Any"]]}}
    properties = {
        "code": {"type": "integer", "format": "int32", "description": "The code of gRPC (google.rpc.Code)."},
        "message": {"type": "string", "description": "For people."},
        "details": {**details, "description": "For programs; `reason` of ErrorInfo never changes its meaning."},
    }
    return {"google.rpc.Status": {"type": "object", "properties": properties, "description": "Why a call failed."}}


def main(package: Path) -> None:
    """package: where the image is, and the descriptions go."""
    image = Image.read(package / "image.binpb")
    for audience in AUDIENCES:
        text = json.dumps(description(image, audience), indent=1, ensure_ascii=False)
        (package / audience.file).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
