"""The pages of the example solution."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from shared.samples.retail import Product

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
form.search { display: flex; gap: .5rem } form.search input { flex: 1; font: inherit; padding: .5rem .75rem }
button, .button { font: inherit; padding: .5rem 1rem; border: 0; border-radius: .4rem; background: #2457c5; color: #fff;
  text-decoration: none; cursor: pointer; display: inline-block }
button.plain { background: none; color: inherit; text-decoration: underline; padding: 0 }
ol { padding: 0; list-style: none } li { display: flex; justify-content: space-between; gap: 1rem; padding: .4rem 0;
  border-bottom: 1px solid #8883 } .price { font-variant-numeric: tabular-nums }
.quiet { opacity: .7; font-size: .9rem }
.prompt { border: 1px solid #8885; border-radius: .5rem; padding: 1rem; margin: 1.5rem 0 }
"""


def page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def search(query: str, found: Sequence[Product] | None, *, tier: str, remaining: str, is_registered: bool) -> str:
    """The search box and, after a search, what it found.

    found: None where nothing was asked yet.
    remaining: searches that are left today, in digits; empty where that is not limited, or not known.
    """
    parts = [
        '<h1><a href="/" style="color:inherit;text-decoration:none">Product search</a></h1>',
        '<form class="search" action="/search" role="search">',
        f'<input name="q" value="{escape(query)}" placeholder="lantern, christmas, mug" aria-label="Search" autofocus>',
        "<button>Search</button></form>",
        _standing(tier, remaining, is_registered),
    ]
    if found is not None:
        parts.append(_found(query, found, is_registered))
    return page("Product search", "".join(parts))


def _standing(tier: str, remaining: str, is_registered: bool) -> str:
    left = f'<span id="remaining">{escape(remaining)}</span> searches left today. ' if remaining else ""
    if not is_registered:
        return f'<p class="quiet">{left}<a id="register" href="/register">Register</a> for more.</p>'
    forget = (
        '<form action="/forget" method="post" style="display:inline"><button class="plain">Forget me</button></form>'
    )
    return f'<p class="quiet">{left}Tier: <span id="tier">{escape(tier)}</span>. {forget}</p>'


def _found(query: str, found: Sequence[Product], is_registered: bool) -> str:
    if not found:
        return f"<p>Nothing found for <em>{escape(query)}</em>.</p>"
    rows = "".join(
        f'<li><span>{escape(product.title)} <span class="quiet">{escape(product.sku)}</span></span>'
        f'<span class="price">£{product.price_minor / 100:.2f}</span></li>'
        for product in found
    )
    export = f'<p><a href="/export?q={quote(query)}">Export as CSV</a></p>' if is_registered else ""
    return f'<ol id="results">{rows}</ol>{export}'


def prompt(title: str, text: str, links: Sequence[tuple[str, str, str]]) -> str:
    """A refusal with what to do next. links: id, address, label."""
    buttons = " ".join(
        f'<a class="button" id="{key}" href="{escape(href)}">{escape(label)}</a>' for key, href, label in links
    )
    return page(title, f'<h1>{escape(title)}</h1><div class="prompt"><p>{escape(text)}</p><p>{buttons}</p></div>')
