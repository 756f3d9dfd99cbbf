"""HTTP to one WooCommerce shop, and what each kind of failure means.

The table of failures goes by content before status, because WooCommerce does: a refund it refuses is a 500, a key
without rights a 401 or a 403, a shop under maintenance an HTML page of any status.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from counterfoil import __version__
from counterfoil.connectors.traced import traced
from counterfoil.connectors.trust import trusted
from counterfoil.hub import room
from counterfoil.hub.contract import Failure, Kind, Outcome

API = "/wp-json/wc/v3/"
_RIGHTS = (
    "In WooCommerce > Settings > Advanced > REST API, look at the key: it needs Read/Write rights and an owner "
    "who manages the shop."
)
_LOOK_AT_KEY = f"{_RIGHTS} Over plain http WooCommerce takes no key at all: the address must begin with https."
_OURS = {"rest_invalid_param", "rest_missing_callback_param", "rest_invalid_json"}
_GONE = re.compile(r"woocommerce_rest_\w*invalid_(id|order)")
_FOR_KNOWN = "Wed, 11 Jan 1984 05:00:00 GMT"
"""WordPress's Expires, which it sends only to those it has recognised (rest_send_nocache_headers; recorded)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer with its JSON. `body` is what came over the wire."""

    data: Any
    body: bytes
    headers: httpx.Headers

    @property
    def shop_time(self) -> datetime | None:
        """The shop's own clock, from the Date header; the innermost one where a proxy added its own."""
        for value in reversed(self.headers.get_list("date")):
            with contextlib.suppress(ValueError, TypeError):
                return parsedate_to_datetime(value).astimezone(UTC)
        return None

    def number(self, header: str) -> int | None:
        """A header that counts something, such as X-WP-TotalPages."""
        value = self.headers.get(header, "")
        return int(value) if value.isdigit() else None


class Client:
    """Requests to one shop. Every failure is raised as `Failure` with the outcome it means."""

    def __init__(
        self, url: str, key: str, secret: str, timeout: float, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self.url + API,
            auth=httpx.BasicAuth(key, secret),
            timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
            headers={"User-Agent": f"Counterfoil/{__version__}", "Accept": "application/json"},
            verify=trusted(),
            transport=transport,
            event_hooks=traced(url),
        )

    async def get(self, path: str, **params: str | int) -> Answer:
        """Read `path`, relative to the API."""
        return await self.call("GET", path, params=params)

    async def call(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None = None,
        content: Mapping[str, Any] | None = None,
    ) -> Answer:
        """One request. `content` goes as JSON, with its content type: without it the shop drops it in silence."""
        try:
            response = await self._http.request(method, path, params=params, json=content)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Failure(_bad_address(self.url, str(error))) from error
        except httpx.HTTPError as error:
            raise Failure(unreachable(self.url, error)) from error
        room.tell(response.headers)  # hosts of shops limit requests, and some say how
        failure = outcome_of(response.status_code, response.headers, response.content, f"{method} {path}")
        if failure is not None:
            raise Failure(failure)
        try:
            data = json.loads(response.content)
        except (ValueError, RecursionError) as error:
            raise Failure(_not_json(response.status_code, response.content, f"{method} {path}")) from error
        return Answer(data, response.content, response.headers)

    async def close(self) -> None:
        """Give back the connections."""
        await self._http.aclose()


def unreachable(url: str, error: Exception) -> Outcome:
    """No answer, or none in time. Whether the request was carried out is unknown: look before repeating it."""
    words = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
    return Outcome(
        Kind.DOWN,
        "unreachable",
        f"The shop {words}.",
        f"{url}: {type(error).__name__}: {error}",
        "Nothing is lost; it goes on by itself as soon as the shop answers.",
    )


def outcome_of(status: int, headers: Mapping[str, str], body: bytes, request: str) -> Outcome | None:
    """What an answer means; None for one that is fine so far (2xx)."""
    if 200 <= status < 300:
        return None
    code, words = _error_in(body)
    technical = f"{request} answered {status} {code or body[:200].decode('utf-8', 'replace')!r} {words}".rstrip()
    until = _retry_after(headers)
    if status == 429:
        wait = until or datetime.now(UTC) + timedelta(seconds=60)
        return Outcome(Kind.THROTTLED, "throttled", "The shop asks to slow down.", technical, "", wait)
    if 300 <= status < 400:
        place = headers.get("location", "another address")
        return _bad_address(f"the shop answers from {place}", technical)
    if status in (401, 403):
        if _takes_key(status, headers, code, request):
            message = f"The shop does not let the key do this: {words or 'no reason given'}"
            return Outcome(Kind.MISCONFIGURED, "no_right", message, technical, _RIGHTS)
        message = f"The shop does not accept the key: {words or 'no reason given'}"
        if not code:
            message = "Something in front of the shop (a firewall, a password page) refuses the hub."
        return Outcome(Kind.MISCONFIGURED, "unauthorized", message, technical, _LOOK_AT_KEY)
    if _GONE.fullmatch(code):
        return Outcome(
            Kind.REJECTED,
            "not_in_shop",
            "The shop no longer has this order.",
            technical,
            "If it was deleted on purpose, close this; otherwise restore it in the shop.",
        )
    if status == 404 and (not code or code == "rest_no_route"):
        return _bad_address("WooCommerce's REST API does not answer at this address", technical)
    if status == 413 or code in _OURS:
        return Outcome(Kind.BUG, "bad_request", "The hub asked the shop for something it cannot do.", technical)
    if status in (408, 409, 423, 425):
        return Outcome(Kind.RETRY, "busy", "The shop was busy.", technical)
    if code.startswith("woocommerce_") or (code and status < 500):
        fix = "Read the shop's words; change the order in the shop or close this."
        return Outcome(Kind.REJECTED, "refused_by_shop", f"The shop refuses: {words or code}", technical, fix)
    if status == 500 and code:
        return Outcome(
            Kind.RETRY,
            "shop_crashed",
            "The shop broke off with an internal error.",
            technical,
            "If it stays, look at the shop's PHP error log (WooCommerce > Status > Logs).",
        )
    if status >= 500:
        return Outcome(
            Kind.DOWN,
            "shop_down",
            f"The shop is down or under maintenance (it answers {status}).",
            technical,
            "Nothing is lost; it goes on by itself as soon as the shop answers.",
            until,
        )
    return Outcome(Kind.REJECTED, "refused_by_shop", f"The shop refuses with status {status}.", technical)


def _takes_key(status: int, headers: Mapping[str, str], code: str, request: str) -> bool:
    """Whether the key itself is good, and only this is not allowed to it or to its owner.

    An owner without the right gets the code of an unknown key, but 403 instead of 401
    (rest_authorization_required_code). A key for reading only gets the code of a wrong secret and words in the
    site's language, but WordPress knows who asks. One that may not even read is of no use at all.
    """
    if code == "woocommerce_rest_authentication_error":
        return headers.get("expires") == _FOR_KNOWN and not request.startswith("GET ")
    return status == 403 and code.startswith("woocommerce_rest_")


def _error_in(body: bytes) -> tuple[str, str]:
    """Code and words of WordPress's error JSON, empty for anything else."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(data, dict) or not isinstance(data.get("code"), str):
        return "", ""
    words = re.sub(r"<[^>]+>", " ", str(data.get("message", "")))
    return data["code"][:100], " ".join(words.split())[:300]


def _retry_after(headers: Mapping[str, str]) -> datetime | None:
    """Retry-After, given in seconds or as a date."""
    value = headers.get("retry-after", "").strip()
    now = datetime.now(UTC)
    if value.isdigit():
        return now + timedelta(seconds=min(int(value[:6]), 86_400))
    with contextlib.suppress(ValueError, TypeError):
        return min(parsedate_to_datetime(value).astimezone(UTC), now + timedelta(days=1))
    return None


def _bad_address(found: str, technical: str) -> Outcome:
    return Outcome(
        Kind.MISCONFIGURED,
        "bad_address",
        f"The shop's address in the blueprint is not right: {found}.",
        technical,
        "Give `url` as WordPress > Settings > General shows it, and keep permalinks other than 'Plain'.",
    )


def _not_json(status: int, body: bytes, request: str) -> Outcome:
    return Outcome(
        Kind.DOWN,
        "not_json",
        "The shop answers with a page instead of data; a maintenance page or a PHP warning stands in the way.",
        f"{request} answered {status} {body[:200].decode('utf-8', 'replace')!r}",
        "Open the shop in a browser; if it looks right, look at its PHP error log.",
    )
