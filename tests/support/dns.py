"""A real DNS server of the tests' own: answers what it is told to, and differently each time if it is told so."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class Names(asyncio.DatagramProtocol):
    """addresses: by name, one list of answers or several; of several each is given once, and the last for ever.
    aliases: CNAMEs. asked: every question, in order. A name in `silent` gets no answer."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[Sequence[str]]] = {}
        self.aliases: dict[str, str] = {}
        self.silent: set[str] = set()
        self.asked: list[str] = []
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        [question] = query.question
        name, kind = question.name.to_text(omit_final_dot=True).lower(), question.rdtype
        if name in self.silent:
            return
        self.asked.append(name)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        while (alias := self.aliases.get(name)) is not None:
            answer.answer.append(dns.rrset.from_text(f"{name}.", 0, "IN", "CNAME", f"{alias}."))
            name = alias
        if name not in self.addresses:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            rounds = self.addresses[name]
            version = 4 if kind == dns.rdatatype.A else 6
            mine = [text for text in rounds[0] if (":" in text) == (version == 6)]
            if version == 6 and len(rounds) > 1:
                rounds.pop(0)
            if mine:
                answer.answer.append(dns.rrset.from_text(f"{name}.", 0, "IN", kind, *mine))
        self._transport.sendto(answer.to_wire(), source)


@asynccontextmanager
async def names() -> AsyncIterator[Names]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
    protocol.port = transport.get_extra_info("sockname")[1]
    yield protocol
    transport.close()
