"""What ties a registration to the browser in which it began: a link of somebody else's leads nobody into their account.

Who shows a register link sets it as the cookie COOKIE and adds it to the link as `state`. The way back brings it
along, and counts where both are the same (RFC 6749, 10.12).
"""

import hmac
import re
import secrets
from collections.abc import Callable

COOKIE = "center_state"
# As long as a link in a mail is good: some come back by one.
LIFE_S = 24 * 3600

_BYTES = 18
_FORM = re.compile(r"[0-9A-Za-z_-]{24}", re.ASCII)


def kept(cookie: str, random: Callable[[int], str] = secrets.token_urlsafe) -> str:
    """The cookie's, so that all pages that are open in a browser lead back; a new one where it has none.

    random(n): n random bytes, in base64 for URLs.
    """
    return cookie if _FORM.fullmatch(cookie) else random(_BYTES)


def holds(cookie: str, state: str) -> bool:
    """Whether what came back began in this browser."""
    return all(map(_FORM.fullmatch, (cookie, state))) and hmac.compare_digest(cookie, state)
