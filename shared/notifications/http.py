"""SMS and push through a provider's HTTP API: one POST of JSON, with a key that makes a second one harmless."""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx

from shared.notifications.delivery import Outgoing, Undelivered
from shared.runtime.patience import within

TIMEOUT_S = 20.0
LARGEST_ANSWER_BYTES = 64 * 1024
# Besides 5xx: timeouts and limits, which pass.
_PASSING = frozenset((408, 409, 425, 429))


class Http:
    """http(s)://[:token@]host[:port]/path. It is sent {"id", "channel", "to", "title", "text"} with `Idempotency-Key`,
    and may answer {"id": ...}."""

    def __init__(self, url: str, *, token: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not http(s)://host[:port]/path")
        token = token or unquote(parts.password or parts.username or "")
        host = parts.netloc.rpartition("@")[2]
        if token and parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError("a token is not sent without TLS")
        self._url = urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Its environment's proxies are the machine's, not the provider's.
        self._client = httpx.AsyncClient(headers=headers, timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)

    async def deliver(self, message: Outgoing) -> str:
        body = {
            "id": message.id,
            "channel": message.channel.value,
            "to": message.to,
            "title": message.content.subject,
            "text": message.content.text,
        }
        try:
            # A server that sends its answer a byte at a time has no end of its own.
            return await within(TIMEOUT_S, self._sent(body, message.id))
        except TimeoutError:
            raise Undelivered("HTTP took too long") from None
        except httpx.HTTPError as error:
            raise Undelivered(f"HTTP {type(error).__name__}") from None

    async def close(self) -> None:
        await self._client.aclose()

    async def _sent(self, body: dict[str, str], key: str) -> str:
        async with self._client.stream("POST", self._url, json=body, headers={"Idempotency-Key": key}) as response:
            if response.is_success:
                return _provider_id(await _read(response))
            raise _refusal(response)


def _refusal(response: httpx.Response) -> Undelivered:
    status = response.status_code
    passing = status >= 500 or status in _PASSING
    return Undelivered(f"HTTP {status}", for_good=not passing, retry_after_s=_retry_after_s(response) if passing else 0)


def _retry_after_s(response: httpx.Response) -> float:
    """Seconds, or a date (RFC 9110, 10.2.3)."""
    asked = response.headers.get("Retry-After", "")
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    try:
        return max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


async def _read(response: httpx.Response) -> bytes:
    data = b""
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > LARGEST_ANSWER_BYTES:
            return b""
    return data


def _provider_id(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    found = answer.get("id", "") if isinstance(answer, dict) else ""
    return found[:200] if isinstance(found, str) and found.isprintable() else ""
