"""How WordPress reads requests and words its errors: the small print of the WooCommerce stand-in."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request

Json = dict[str, Any]

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.\d+)?([Zz]|[+-]\d\d:?\d\d)?")


class Rest(Exception):
    """An error in WordPress's shape."""

    def __init__(self, status: int, code: str, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.status, self.data = status, {"status": status} if data is None else data
        self.body = {"code": code, "message": message, "data": self.data}


def invalid(name: str, words: str, code: str) -> Rest:
    """A parameter of the wrong kind, as recorded."""
    details = {name: {"code": code, "message": words, "data": None}}
    data = {"status": 400, "params": {name: words}, "details": details}
    return Rest(400, "rest_invalid_param", f"Invalid parameter(s): {name}", data)


def moment_of(name: str, text: str, gmt: bool, zone: tzinfo) -> int:
    """A date parameter in seconds since the epoch, the way WordPress reads it.

    A bare value means the site's time zone. With `dates_are_gmt` a bare value means GMT, but one with an offset
    is first told in the site's time zone and then taken for GMT, which misses rows.
    """
    found = _DATE.fullmatch(text.replace(" ", "+") if "T" in text else text)
    try:
        moment = datetime.fromisoformat(f"{found[1]}T{found[2]}{(found[3] or '').upper()}") if found else None
    except ValueError:
        moment = None
    if moment is None:
        raise invalid(name, "Invalid date.", "rest_invalid_date")
    if gmt and moment.tzinfo is not None:
        moment = moment.astimezone(zone).replace(tzinfo=None)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC if gmt else zone)
    return int(moment.timestamp())


async def json_body(request: Request) -> Json:
    """The JSON body. Without a JSON content type WooCommerce sees none, and says nothing."""
    if "json" not in request.headers.get("content-type", ""):
        return {}
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        data = {"status": 400, "json_error_code": 4, "json_error_message": "Syntax error"}
        raise Rest(400, "rest_invalid_json", "Invalid JSON body passed.", data) from None
    return body if isinstance(body, dict) else {}


def not_allowed(request: Request) -> Rest:
    """What a request without a valid key is told, by its method."""
    single = bool(request.path_params)
    code, words = {
        "GET": ("view", "Sorry, you cannot view this resource." if single else "Sorry, you cannot list resources."),
        "POST": ("create", "Sorry, you are not allowed to create resources."),
        "DELETE": ("delete", "Sorry, you are not allowed to delete this resource."),
    }.get(request.method, ("edit", "Sorry, you are not allowed to edit this resource."))
    return Rest(401, f"woocommerce_rest_cannot_{code}", words)


def count_of(query: Any, name: str, default: int, most: int) -> int:
    """A whole number from 1 to `most`; raises Rest as recorded for anything else."""
    text = query.get(name, str(default))
    if not re.fullmatch(r"-?\d{1,9}", text):
        raise invalid(name, f"{name} is not of type integer.", "rest_invalid_type")
    number = int(text)
    if name == "page" and number < 1:
        raise invalid(name, "page must be greater than or equal to 1", "rest_out_of_bounds")
    if not 1 <= number <= most:
        raise invalid(name, f"{name} must be between 1 (inclusive) and {most} (inclusive)", "rest_out_of_bounds")
    return number


def one_of(query: Any, name: str, default: str, known: tuple[str, ...]) -> str:
    """One of the known words; raises Rest as recorded for another."""
    value = str(query.get(name, default))
    if value not in known:
        raise invalid(name, f"{name} is not one of {listed(known)}.", "rest_not_in_enum")
    return value


def listed(known: tuple[str, ...]) -> str:
    """A list the way WordPress writes it."""
    return f"{', '.join(known[:-1])}, and {known[-1]}"


def decimal_or_zero(text: Any) -> Decimal:
    """An amount; what is none counts as zero, as in PHP."""
    try:
        return Decimal(str(text))
    except InvalidOperation:
        return Decimal(0)


def merged_meta(old: list[Json], new: list[Json]) -> list[Json]:
    """Meta data after a write: by id or key changed, null deleted, else appended; scalars become text."""
    rows = [dict(row) for row in old]
    for entry in new:
        row = next((r for r in rows if r["id"] == entry.get("id") or r["key"] == entry.get("key")), None)
        value = entry.get("value")
        if value is None:
            rows = [r for r in rows if r is not row]
            continue
        if isinstance(value, bool):
            value = "1" if value else ""
        value = str(value) if isinstance(value, int | float) else value
        if row is None:
            number = max((r["id"] for r in rows), default=10_000) + 1
            rows.append({"id": number, "key": html.unescape(str(entry.get("key", ""))), "value": value})
        else:
            row["value"] = value
    return sorted(rows, key=lambda row: str(row["key"]))


def only_fields(body: Any, wanted: set[str]) -> Any:
    """What `_fields` leaves."""
    if isinstance(body, list):
        return [only_fields(entry, wanted) for entry in body]
    return {name: value for name, value in body.items() if name in wanted} if isinstance(body, dict) else body


def paging(request: Request, page: int, per_page: int, total: int) -> dict[str, str]:
    """X-WP-Total, X-WP-TotalPages, and links to the pages beside this one."""
    pages = -(-total // per_page)
    headers = {"X-WP-Total": str(total), "X-WP-TotalPages": str(pages)}
    links = []
    if page > 1:
        links.append(f'<{request.url.include_query_params(page=min(page - 1, pages))}>; rel="prev"')
    if page < pages:
        links.append(f'<{request.url.include_query_params(page=page + 1)}>; rel="next"')
    return {**headers, "Link": ", ".join(links)} if links else headers
