"""A process of its own that renders templates, and can do nothing else: no files, no sockets, little memory and time.

Run by path with `python -I`, so that none of the platform's code is in it. It reads and writes messages: four bytes of
length, and JSON. Whoever started it kills it when an answer takes too long.
"""

import json
import resource
import signal
import sys
from functools import lru_cache
from types import FrameType
from typing import Any, BinaryIO

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

CPU_S = 0.5
MEMORY_BYTES = 256 << 20
# Of a part; HTML may be as large as mail should be, the rest has no reason to.
LARGEST = {"subject": 4_000, "text": 200_000, "html": 1_000_000}
RANGE = 10_000


class TooLong(BaseException):
    """The CPU time of one rendering is used up; nothing of Jinja catches it."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Data in, text out. Templates call filters, tests and `range`, and the methods of texts, lists and dicts."""

    intercepted_binops = frozenset(("**", "*", "%"))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise SecurityError("powers are not for templates")
        if operator == "%" and isinstance(left, str):
            raise SecurityError("formatting by % is not for templates; write ~ between the parts")
        if operator == "*" and not all(isinstance(side, int | float) for side in (left, right)):
            raise SecurityError("only numbers are multiplied")
        return super().call_binop(context, operator, left, right)

    def wrap_str_format(self, value: Any) -> Any:
        """str.format and format_map reach into attributes, and pad without end."""
        if super().wrap_str_format(value) is not None:
            raise SecurityError("format is not for templates; write ~ between the parts")
        return None


def environment(*, html: bool) -> Sandbox:
    made = Sandbox(undefined=StrictUndefined, autoescape=html, cache_size=0, keep_trailing_newline=True)
    made.globals = {"range": _range}
    for name in ("pprint", "random", "format", "attr"):
        del made.filters[name]
    return made


def _range(*bounds: int) -> range:
    made = range(*bounds)
    if len(made) > RANGE:
        raise SecurityError(f"range is for {RANGE} items at most")
    return made


@lru_cache(maxsize=512)
def _template(source: str, html: bool) -> Template:
    return environment(html=html).from_string(source)


def render(parts: dict[str, str], variables: dict[str, Any]) -> dict[str, str]:
    return {name: _rendered(name, source, variables) for name, source in parts.items() if source}


def _rendered(name: str, source: str, variables: dict[str, Any]) -> str:
    pieces, size = [], 0
    for piece in _template(source, name == "html").generate(variables):
        size += len(piece)
        if size > LARGEST[name]:
            raise SecurityError(f"longer than {LARGEST[name]} characters")
        pieces.append(piece)
    return "".join(pieces)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The parts, or the error in words: {"kind": syntax | failed | limit, "part": ..., "error": ...}."""
    done: dict[str, str] = {}
    part = ""
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    try:
        for part, source in request["parts"].items():
            if request["check"]:
                _template(source, part == "html")
            else:
                done |= render({part: source}, request["variables"])
        return {"parts": done}
    except TemplateSyntaxError as error:
        return {"kind": "syntax", "part": part, "error": f"line {error.lineno}: {error.message}"}
    except (TooLong, MemoryError, RecursionError, OverflowError) as error:
        _template.cache_clear()
        why = {"TooLong": "takes too long", "MemoryError": "takes too much memory"}
        return {"kind": "limit", "part": part, "error": why.get(type(error).__name__, "goes too deep")}
    except TemplateError as error:
        return {"kind": "failed", "part": part, "error": str(error.message)[:300]}
    except Exception as error:  # noqa: BLE001 - whatever a filter makes of the values that it is given
        return {"kind": "failed", "part": part, "error": f"{type(error).__name__}: {error}"[:300]}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TooLong


def confine() -> None:
    """From here on the process opens nothing, starts nothing and writes nothing but its answers."""
    used = _address_space_bytes()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES,) * 2)
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _address_space_bytes() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - pathlib is one more import in here
        return int(file.read().split()[0]) * resource.getpagesize()


def _read(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise SystemExit(0)
    return data


_EVERYTHING = (
    "{{ 'a\\n'|wordwrap(1)|urlize|striptags|urlencode|truncate(1)|title|indent|tojson }}{{ x|join|upper|wordcount }}"
    "{{ 1|filesizeformat|round|xmlattr }}"
)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, _too_long)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    # Whatever is imported when first used is now, what tells of errors included.
    for source in (_EVERYTHING, "{{ x.y }}", "{{ 1/0 }}", "{{"):
        answer({"check": False, "parts": {"html": source}, "variables": {"x": ["<"]}})
    confine()
    while True:
        request = json.loads(_read(requests, int.from_bytes(_read(requests, 4), "big")))
        told = json.dumps(answer(request)).encode()
        answers.write(len(told).to_bytes(4, "big") + told)
        answers.flush()


if __name__ == "__main__":
    main()
