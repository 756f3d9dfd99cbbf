"""A shop of its own for each test, over HTTP, and its connector; a test module with a shop of its own gives `app`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.woocommerce_shop import SYSTEM, settings, shop_at_t0

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import ShopApp


@pytest.fixture
def app() -> ShopApp:
    """An empty shop whose clock stands at T0."""
    return shop_at_t0()


@pytest.fixture
def url(app: ShopApp) -> Iterator[str]:
    """Where it is served."""
    with serving(app) as url:
        yield url


@pytest.fixture
async def shop(url: str) -> AsyncIterator[WooCommerce]:
    """Its connector."""
    connector = WooCommerce(SYSTEM, settings(url))
    yield connector
    await connector.close()
