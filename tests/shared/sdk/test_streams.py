"""What is put in a queue goes out on a stream, until the stream is over for us, too."""

import asyncio

from center_sdk.streams import until_none


async def test_none_ends_the_sending_after_what_came_before_it() -> None:
    requests: asyncio.Queue[int | None] = asyncio.Queue()
    sent: list[int] = []

    async def send() -> None:
        async for request in until_none(requests):
            sent.append(request)

    sending = asyncio.create_task(send())
    for request in (0, 1, None, 2):
        requests.put_nowait(request)
    async with asyncio.timeout(5):
        await sending
    assert sent == [0, 1]
