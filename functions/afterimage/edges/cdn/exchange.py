"""One request to a network's API: tried again where that is safe and may help, and every fault sorted into its kind."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import httpx2

from afterimage.edges.asked_wait import asked_wait
from afterimage.edges.cdn.port import CdnBusyError, CdnRefusedError

_TIMEOUT_SECONDS: Final = 20.0
_ATTEMPTS: Final = 3
_FIRST_WAIT_SECONDS: Final = 0.2
_MOST_OF_AN_ANSWER: Final = 300


def _new_client() -> httpx2.Client:
    return httpx2.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Sends requests that may be repeated: all of these do the same when they come twice."""

    client: httpx2.Client = field(default_factory=_new_client)
    wait: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Callable[[], Mapping[str, str]],
        content: bytes = b"",
        is_busy: Callable[[httpx2.Response], bool] = lambda _response: False,
    ) -> httpx2.Response:
        """The answer, if it is a success. `headers` are made anew for each attempt: signatures hold for minutes.

        `is_busy` finds what a network calls "too many" under another status than 429.
        """
        fault = CdnBusyError("was not asked")
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.wait(_FIRST_WAIT_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
            try:
                response = self.client.request(method, url, headers=dict(headers()), content=content)
            except httpx2.LocalProtocolError:
                # Its own words would show the header, and with it the secret.
                raise CdnRefusedError(
                    f"a request to `{httpx2.URL(url).host}` cannot be written; look for line breaks in its secrets"
                ) from None
            except httpx2.HTTPError as error:
                fault = CdnBusyError(f"no answer from `{httpx2.URL(url).host}`: {type(error).__name__}: {error}")
                continue
            if response.is_success:
                return response
            told = f"`{httpx2.URL(url).host}` answered {response.status_code}: {response.text[:_MOST_OF_AN_ANSWER]}"
            if response.status_code == 429 or is_busy(response):
                # Asking again at once would only use up more of what there is too little of.
                raise CdnBusyError(told, retry_after=asked_wait(response, self.now()))
            if response.status_code < 500:
                raise CdnRefusedError(told)
            fault = CdnBusyError(told, retry_after=asked_wait(response, self.now()))
        raise fault
