"""What is in the answers of views."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any


def body_of(response: Any) -> bytes:
    if not response.streaming:
        return bytes(response.content)

    async def collect(pieces: AsyncIterator[bytes]) -> bytes:
        return b"".join([piece async for piece in pieces])

    return asyncio.run(collect(response.streaming_content))


def text_of(response: Any) -> str:
    """The page, which must be one, with its characters as a person sees them: code
    without the elements that give it colours."""
    assert response.status_code == 200
    page = re.sub(
        r'<span class="hl-\w+">([^<]*)</span>', r"\1", response.content.decode()
    )
    return unescape(page)
