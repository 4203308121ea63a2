"""Long lists in pages: the token of the next page is the last name of this one."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from afterimage_emulator.status import Code, StatusError

T = TypeVar("T")
DEFAULT_SIZE: Final = 100
SIZE_LIMIT: Final = 1_000


def page_of(
    items: Sequence[T],
    request: Any,
    *,
    key: Callable[[T], str],
    default_size: int = DEFAULT_SIZE,
    size_limit: int = SIZE_LIMIT,
) -> tuple[Sequence[T], str]:
    """The page that a request with `page_size` and `page_token` asks for, of items sorted by their key."""
    if request.page_size < 0:
        raise StatusError(Code.INVALID_ARGUMENT, f"`page_size` must not be negative, as {request.page_size} is")
    size = min(request.page_size or default_size, size_limit)
    if request.page_token:
        try:
            last = base64.b64decode(request.page_token, altchars=b"-_", validate=True).decode()
        except ValueError:
            raise StatusError(Code.INVALID_ARGUMENT, f"`{request.page_token}` is no page token of this list") from None
        items = [item for item in items if key(item) > last]
    page = items[:size]
    more = len(items) > size
    return page, base64.urlsafe_b64encode(key(page[-1]).encode()).decode() if more else ""
