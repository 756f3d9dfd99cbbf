"""HTTP to one JSON API, and what each kind of failure means.

The table goes by what an answer holds before its status: a page instead of data is something in the way, whatever
its status; words of RFC 9457 or of the usual `message` and `error` fields are passed on to the person.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx

from counterfoil import __version__
from counterfoil.connectors.traced import traced
from counterfoil.connectors.trust import trusted
from counterfoil.hub import room
from counterfoil.hub.contract import Failure, Kind, Outcome

NOT_THERE = "not_there"
"""The reason of an answer that says there is no such record."""
_GOES_ON = "Nothing is lost; it goes on by itself as soon as it answers."
_TOKEN = "Give the token of a user who may do this (`token` in the blueprint)."  # noqa: S105


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer with its JSON; `data` is None where it has no body. `time` is the system's own clock, if told."""

    data: Any
    time: datetime | None = None
    etag: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Client:
    """Requests to one system, called `system` in messages. Every failure is raised as `Failure`."""

    def __init__(
        self, system: str, url: str, token: str, timeout: float, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.system, self.url = system, url.rstrip("/")
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
            headers={
                "User-Agent": f"Counterfoil/{__version__}",
                "Accept": "application/json",
                "Authorization": f"Bearer {token}",
            },
            verify=trusted(),
            transport=transport,
            event_hooks=traced(url),
        )

    async def find(self, path: str, key: str) -> Answer | None:
        """The record of that key; None where there is none. Raises Failure."""
        try:
            return await self.call("GET", record_path(path, key))
        except Failure as failure:
            if failure.outcome.reason == NOT_THERE:
                return None
            raise

    async def call(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        content: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request to `path` below the system's address. `content` goes as JSON. Raises Failure."""
        request = f"{method} {path}"
        try:
            response = await self._http.request(
                method, self.url + path, params=params, json=content, headers=dict(headers or {})
            )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Failure(self._bad_address(type(error).__name__)) from error
        except httpx.HTTPError as error:
            words = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
            technical = f"{request}: {type(error).__name__}: {error}"
            raise Failure(Outcome(Kind.DOWN, "unreachable", f"{self.system} {words}.", technical, _GOES_ON)) from error
        room.tell(response.headers)
        failure = self.outcome_of(response.status_code, response.headers, response.content, request)
        if failure is not None:
            raise Failure(failure)
        data = _json(response.content)
        if data is None and response.content.strip() not in (b"", b"null"):
            words = f"{self.system} answers with a page instead of data; something stands in the way."
            technical = f"{request} answered {response.status_code} without JSON"
            raise Failure(Outcome(Kind.DOWN, "not_json", words, technical, "Open its address in a browser."))
        told = response.headers
        return Answer(data, _date(told.get("date", "")), told.get("etag", ""), told)

    def outcome_of(self, status: int, headers: Mapping[str, str], body: bytes, request: str) -> Outcome | None:
        """What an answer means; None for one that is fine so far (2xx)."""
        if 200 <= status < 300:
            return None
        data, name = _json(body), self.system
        words = _words(data)
        technical = f"{request} answered {status} {words}".rstrip()
        until = _retry_after(headers)
        if status == 429:
            wait = until or datetime.now(UTC) + timedelta(seconds=60)
            return Outcome(Kind.THROTTLED, "throttled", f"{name} asks to slow down.", technical, "", wait)
        if 300 <= status < 400:
            return self._bad_address(technical)
        if status == 401 or (status == 403 and not isinstance(data, dict)):
            message = f"{name} does not accept the token."
            if not isinstance(data, dict) and status == 403:
                message = f"Something in front of {name} (a firewall, a password page) refuses the hub."
            return Outcome(Kind.MISCONFIGURED, "unauthorized", message, technical, _TOKEN)
        if status == 403:
            return Outcome(Kind.MISCONFIGURED, "no_right", f"{name} does not let the token do this.", technical, _TOKEN)
        if status in (404, 410):
            fix = f"Look at the record in {name}; if it was deleted on purpose, close this."
            return Outcome(Kind.REJECTED, NOT_THERE, f"{name} has no such record.", technical, fix)
        if status in (405, 501):
            fix = "Look at the paths of this system in the blueprint, or leave the flow out."
            return Outcome(Kind.MISCONFIGURED, "no_settings", f"{name} cannot do this at all.", technical, fix)
        if status in (408, 409, 412, 423, 425):
            return Outcome(Kind.RETRY, "busy", f"{name} was busy with the same record.", technical)
        if status == 500:
            return Outcome(Kind.RETRY, "crashed", f"{name} broke off with an internal error.", technical)
        if status > 500:
            return Outcome(Kind.DOWN, "down", f"{name} is down (it answers {status}).", technical, _GOES_ON, until)
        fix = "Read its words; put the record right where it comes from, or correct the mapping, then retry."
        return Outcome(Kind.REJECTED, "refused", f"{name} refuses: {words or f'status {status}'}", technical, fix)

    def _bad_address(self, technical: str) -> Outcome:
        words = f"The address of {self.system} in the blueprint is not right."
        fix = "Give `url` as the API's documentation says, without the paths of its records."
        return Outcome(Kind.MISCONFIGURED, "bad_address", words, technical, fix)

    async def close(self) -> None:
        """Give back the connections."""
        await self._http.aclose()


def record_path(path: str, key: str) -> str:
    """Where one record stands; its key may hold colons and slashes."""
    return f"{path}/{quote(key, safe='')}"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _words(data: Any) -> str:
    """The words of an error: RFC 9457's detail and title, or what else is usual."""
    if not isinstance(data, dict):
        return ""
    inner = data.get("error")
    found = [data.get(name) for name in ("detail", "message", "title", "error_description")]
    found += [inner.get("message") if isinstance(inner, dict) else inner]
    return " ".join(next((text for text in found if isinstance(text, str) and text), "").split())[:300]


def _date(value: str) -> datetime | None:
    with contextlib.suppress(ValueError, TypeError):
        return parsedate_to_datetime(value).astimezone(UTC)
    return None


def _retry_after(headers: Mapping[str, str]) -> datetime | None:
    """Retry-After, in seconds or as a date; a day at most."""
    value, now = headers.get("retry-after", "").strip(), datetime.now(UTC)
    if value.isascii() and value.isdigit():
        return now + timedelta(seconds=min(int(value[:6]), 86_400))
    told = _date(value)
    return min(told, now + timedelta(days=1)) if told else None
