"""The plainest way to talk to an Odoo 19, independent of Counterfoil: used to prepare and to check."""

from __future__ import annotations

from typing import Any

import httpx


class Odoo:
    """JSON-2 calls, synchronous; raises RuntimeError with Odoo's words."""

    def __init__(self, url: str, api_key: str, database: str = "") -> None:
        headers = {"Authorization": f"bearer {api_key}"}
        if database:
            headers["X-Odoo-Database"] = database
        limits = httpx.Limits(max_keepalive_connections=0)  # Odoo closes each connection anyway
        self.http = httpx.Client(base_url=url, headers=headers, timeout=120, limits=limits)

    def call(self, model: str, method: str, **arguments: Any) -> Any:
        """One method call; its result."""
        response = self.http.post(f"/json/2/{model}/{method}", json=arguments)
        if response.status_code != 200:
            raise RuntimeError(f"{model}.{method}: HTTP {response.status_code} {response.text[:300]}")
        return response.json()

    def read(self, model: str, domain: list[Any], fields: list[str], **more: Any) -> list[dict[str, Any]]:
        """All records of a domain, archived ones among them, in pages of 2,000."""
        rows: list[dict[str, Any]] = []
        while True:
            page = self.call(
                model,
                "search_read",
                domain=domain,
                fields=fields,
                context={"active_test": False},
                limit=2000,
                offset=len(rows),
                order="id",
                **more,
            )
            rows += page
            if len(page) < 2000:
                return rows

    def load(self, model: str, fields: list[str], rows: list[list[str]]) -> list[int]:
        """Insert-only import by external id; the record numbers."""
        answer = self.call(
            model,
            "load",
            fields=fields,
            data=rows,
            context={"mode": "update", "noupdate": True, "tracking_disable": True},
        )
        if answer["ids"] is False:
            raise RuntimeError(f"{model}.load: {answer['messages'][:3]}")
        return list(answer["ids"])
