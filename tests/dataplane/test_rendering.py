"""Templates do what they are for, and nothing else: every known way out of the sandbox is closed."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest

from shared.notifications import rendering
from shared.notifications.domain import Channel, Rendered, Template
from shared.notifications.rendering import Renderer, TemplateFailed
from tests.support.platform import until

DATA: dict[str, Any] = {
    "name": "Ann",
    "order": {"number": 7, "lines": [{"title": "Lamp"}, {"title": "Oil"}], "format": "A4", "items": "shadowed"},
    "dunder": "__class__",
}


@pytest.fixture(scope="module")
async def renderer() -> AsyncIterator[Renderer]:
    made = Renderer()
    yield made
    await made.close()


async def render(renderer: Renderer, text: str, *, html: str = "", subject: str = "s", tenant: str = "a") -> Rendered:
    return await renderer.render(tenant, Template("t", Channel.EMAIL, "", subject, text, html), DATA)


async def failure(renderer: Renderer, text: str, tenant: str = "a") -> TemplateFailed:
    with pytest.raises(TemplateFailed) as failed:
        await render(renderer, text, tenant=tenant)
    # Not for want of a module that is imported when first used.
    assert ".py" not in failed.value.error and "Errno" not in failed.value.error
    return failed.value


async def test_a_template_says_what_its_variables_say(renderer: Renderer) -> None:
    made = await render(
        renderer,
        "{% for line in order.lines %}{{ loop.index }}. {{ line.title|upper }}\n{% endfor %}{{ name ~ '!' }}",
        html="<p title='{{ \"'\" }}'>{{ '<script>' }}{{ '<b>'|safe }}</p>",
        subject="{{ order.number + 1 }}",
    )
    assert made.text == "1. LAMP\n2. OIL\nAnn!"
    assert made.subject == "8"
    assert made.html == "<p title='&#39;'>&lt;script&gt;<b></p>"


@pytest.mark.parametrize(
    ("text", "named"),
    [("{{ nobody }}", "'nobody'"), ("{{ order.nunber }}", "'nunber'"), ("{% if nobody %}{% endif %}", "'nobody'")],
)
async def test_a_missing_variable_is_named(renderer: Renderer, text: str, named: str) -> None:
    failed = await failure(renderer, text)
    assert (failed.kind, failed.part) == ("failed", "text") and named in failed.error


async def test_what_cannot_be_parsed_is_refused_with_its_line(renderer: Renderer) -> None:
    with pytest.raises(TemplateFailed) as failed:
        await renderer.check("a", Template("t", Channel.SMS, "", "", "one\n{{ two"))
    assert failed.value.kind == "syntax" and failed.value.error.startswith("line 2")


# Ways out that were published for Jinja, its sandbox and other Python templates, and variations of them.
ESCAPES = (
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ().__class__.__bases__[0].__subclasses__()[40]('/etc/passwd').read() }}",
    "{{ ''['__class__'] }}",
    "{{ ''['__cla' ~ 'ss__'] }}",
    "{{ ''[dunder] }}",
    "{{ order[dunder] }}",
    "{{ ''|attr('__class__') }}",
    "{{ ''|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ [order]|map(attribute='__class__')|first }}",
    "{{ [order]|map(attribute='__class__.__mro__')|list|string|length ~ undefined_here }}",
    "{{ [order]|map('attr', '__class__')|list }}",
    "{{ [order]|sum(attribute='__class__') }}",
    "{{ [order]|selectattr('__class__')|first }}",
    "{{ [order]|rejectattr('__class__')|list }}",
    "{{ [order, order]|map(attribute='__class__.__mro__')|list }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ self._TemplateReference__context.environment }}",
    "{{ loop }}",
    "{{ config }}{{ request.application.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ dict.mro() }}",
    "{{ range.__class__ }}",
    "{{ range.mro() }}",
    "{{ url_for.__globals__ }}{{ get_flashed_messages.__globals__ }}",
    # CVE-2016-10745, CVE-2019-10906, CVE-2024-56326, CVE-2025-27516: str.format and the ways to reach it.
    "{{ '{0.__class__}'.format(order) }}",
    "{{ '{0.__class__.__mro__}'.format(name) }}",
    "{{ '{x.__class__}'.format_map({'x': name}) }}",
    "{{ ('{0.__class__}'|attr('format'))(name) }}",
    "{{ ['{0.__class__}'.format]|first }}",
    "{% set f = '{0.__class__}'.format %}{{ f(name) }}",
    "{{ ['{0.__class__}']|map('format', name)|first }}",
    "{{ '{0.__class__}'|format(name) }}",
    "{{ ''.join.__self__.__class__ }}",
    "{{ '%(x)s'|format(x=name) }}",
    "{{ '%999999999d' % 1 }}",
    "{% macro m() %}{{ caller.__globals__ }}{% endmacro %}{% call m() %}{% endcall %}",
    "{% macro m() %}{% endmacro %}{{ m.__call__.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "{{ order.__init__ }}",
    "{{ order.get.__self__ }}",
    "{{ order.update(number=8) }}",
    "{{ order.clear() }}",
    "{{ order.pop('number') }}",
    "{{ order.setdefault('x', 1) }}",
    "{{ order.lines.append(1) }}",
    "{{ order.lines.clear() }}",
    "{{ order.lines.sort() }}",
    "{% do order.lines.append(1) %}",
    "{% include '/etc/passwd' %}",
    "{% include ['a', 'b'] %}",
    "{% import 'os' as os %}",
    "{% from 'os' import system %}",
    "{% extends '/etc/passwd' %}",
    "{% debug %}",
    "{{ debug() }}",
    "{{ __import__('os') }}",
    "{{ open('/etc/passwd').read() }}",
    "{{ eval('1') }}{{ exec('1') }}",
    "{{ (name|string).encode().__class__ }}",
    "{{ 1.0.__class__ }}",
    "{{ (1).__class__.__base__ }}",
    "{{ none.__class__ }}",
    "{{ true.__class__ }}",
    "{{ undefined_here.__class__ }}",
    "{{ order|xmlattr }}{{ {'a b': 1}|xmlattr }}",
    "{{ {'onclick=x/': 1}|xmlattr }}",
    "{{ (order.lines|batch(2)).gi_frame }}",
    "{{ (order.lines|map('upper')).gi_frame.f_back }}",
    "{% for x in order.lines|batch(2) recursive %}{{ loop.__class__ }}{% endfor %}",
    "{% for x in order.lines %}{{ loop._iterator.__class__ }}{% endfor %}",
    "{{ ().__reduce__() }}",
    "{{ ''.__getattribute__('__class__') }}",
    "{{ order|pprint }}",
    "{{ order|random }}",
)


@pytest.mark.parametrize("text", ESCAPES)
async def test_an_escape_is_refused(renderer: Renderer, text: str) -> None:
    assert (await failure(renderer, text)).kind in ("failed", "syntax")
    assert (await render(renderer, "{{ order.number }}{{ order.lines|length }}")).text == "72"


# What looks for more than there is, and finds the data alone.
@pytest.mark.parametrize(
    "text",
    [
        "{{ [order]|groupby('__class__') }}",
        "{{ [order]|sort(attribute='__class__') }}",
        "{{ order|dictsort }}{{ order|items|list }}{{ order|string }}",
    ],
)
async def test_a_filter_shows_no_object_of_ours(renderer: Renderer, text: str) -> None:
    shown = (await render(renderer, text)).text
    assert "<class" not in shown and " object at " not in shown and "mro" not in shown


# Ways to use up what others need.
EXHAUSTIONS = (
    "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
    "{% for i in range(1000000000) %}{% endfor %}",
    "{% for a in range(9999) %}{% for b in range(9999) %}xxxxxxxxxxxxxxxxxxxx{% endfor %}{% endfor %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ 9 ** 9 ** 9 ** 9 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ [1] * 1000000000 }}",
    "{{ 'a'|center(1000000000) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ 'aaaa'.replace('a', 'a'.ljust(200000000)) }}",
    "{{ name|indent(1000000000) }}",
    "{{ range(999)|join('\\n')|indent(1000000) }}",
    "{% set x = ['aaaaaaaaaaaaaaaa'] %}"
    + "".join(f"{{% set x{n} = x{n - 1 if n else ''} + x{n - 1 if n else ''} %}}" for n in range(40))
    + "{{ x39|length }}",
    "{% set x %}{% for i in range(9999) %}{% for j in range(999) %}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "{% endfor %}{% endfor %}{% endset %}{{ x|length }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ " + "-" * 50000 + "1 }}",
    "{% if 1 %}" * 500 + "{% endif %}" * 500,
    "{{ ('a' ~ 'a'.ljust(60, 'a') ~ '!')|urlize }}" + "{{ 'x@'.ljust(100000, 'x@')|urlize }}" * 20,
    "{{ range(9999)|map('string')|join('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') }}" * 9,
)


@pytest.mark.parametrize("text", EXHAUSTIONS, ids=lambda text: text[:40])
async def test_a_template_that_takes_too_much_is_stopped(renderer: Renderer, text: str) -> None:
    began = time.monotonic()
    await failure(renderer, text)
    assert time.monotonic() - began < rendering.PATIENCE_S + rendering.START_S
    for process in [psutil.Process(each.pid) for each in renderer._processes]:
        assert process.memory_info().rss < 500 << 20
    assert (await render(renderer, "still here")).text == "still here"


async def test_a_loop_without_end_costs_half_a_second_of_cpu_and_no_process(renderer: Renderer) -> None:
    await asyncio.gather(*(render(renderer, "warm", tenant=tenant) for tenant in "ab"))
    before = {each.pid for each in renderer._processes}
    assert (await failure(renderer, EXHAUSTIONS[0])).error == "takes too long"
    assert {each.pid for each in renderer._processes} == before


async def test_one_tenants_endless_templates_do_not_hold_up_another(renderer: Renderer) -> None:
    endless = EXHAUSTIONS[0]
    await render(renderer, "warm", tenant="b")
    busy = [asyncio.create_task(failure(renderer, endless)) for _ in range(6)]
    await asyncio.sleep(0)
    assert (await render(renderer, "{{ name }}", tenant="b")).text == "Ann"
    # It did not wait behind all of them.
    assert sum(task.done() for task in busy) <= 1
    took = []
    while not all(task.done() for task in busy):
        began = time.monotonic()
        assert (await render(renderer, "{{ name }}", tenant="b")).text == "Ann"
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.05)
    # It waited for a part of one, not for the six: they take half a second of CPU time each.
    assert len(took) > 6 and sorted(took)[len(took) // 2] < 0.25


PROBE = """
import os, runpy, socket, subprocess
renderer = runpy.run_path({path!r})
renderer["confine"]()
for name, act in {{
    "reads a file": lambda: open("/etc/passwd"),
    "writes a file": lambda: open("/tmp/escaped", "w"),
    "connects": lambda: socket.create_connection(("127.0.0.1", 1)),
    "starts a program": lambda: subprocess.run(["id"]),
    "allocates": lambda: bytearray(1 << 30),
}}.items():
    try:
        act()
    except (OSError, MemoryError) as error:
        print(type(error).__name__, getattr(error, "errno", ""))
    else:
        print("it", name)
"""


def test_whoever_escaped_would_find_nothing() -> None:
    """The process itself, without Jinja in the way."""
    code = PROBE.format(path=str(rendering._PROGRAM))
    told = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, env={}, check=True)
    assert told.stdout.split("\n")[:5] == ["OSError 24"] * 4 + ["MemoryError "], told.stderr


async def test_the_process_has_no_secret_and_ends_with_its_parent() -> None:
    program = (
        "import asyncio, os\n"
        "from pathlib import Path\n"
        "from shared.notifications.domain import Channel, Template\n"
        "from shared.notifications.rendering import Renderer\n"
        "async def main():\n"
        "    renderer = Renderer()\n"
        "    await renderer.render('a', Template('t', Channel.SMS, '', '', 'x'), {})\n"
        "    [process] = renderer._processes\n"
        "    print(process.pid, 'secret' in Path(f'/proc/{process.pid}/environ').read_text(), flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    env = {**os.environ, "CENTER_SMTP_URL": "smtp://user:secret@host"}
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, check=False)
    pid, knows = told.stdout.split()
    assert knows == "False"

    def has_ended() -> bool:
        try:
            return psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    await until(has_ended, 10, "the process to end with its parent")
