"""Which Odoo it is, by which API it is spoken to, and with which ones this connector was tested."""

from __future__ import annotations

from counterfoil.connectors.odoo.connecting import Detecting
from counterfoil.connectors.odoo.versions import BY_VERSION, UnsupportedVersion, major_of, names, warning
from counterfoil.hub.contract import Release

TESTED = tuple(f"{major}.0" for major, speaks in BY_VERSION.items() if speaks.tried)
TRY_A_COPY = "Try it on a copy of the database first."
SERVED = "Use Odoo 14 to 19."
APIS = {"json2": "JSON-2", "jsonrpc": "JSON-RPC"}


async def releases_of(client: Detecting) -> list[Release]:
    """Odoo's version, asked for without signing in, and the API that is spoken with it. Raises Failure."""
    version, _ = await client.version()
    tested = ", ".join(TESTED)
    try:
        speaks = names(major_of(version))
    except UnsupportedVersion as error:
        return [Release("Odoo", version, tested, str(error), SERVED)]
    doubt = warning(version)
    api = client.api_of(speaks)
    odoo = Release("Odoo", version, tested, doubt, TRY_A_COPY if doubt else "")
    return [odoo, Release("Odoo API", APIS.get(api, api))]
