"""How many may be sold, over HTTP: of one SKU and of many, how old it is, and what happens as it grows old."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest
from tests.conftest import ON_SQLITE
from tests.fakes import SHOP, blueprint

from counterfoil.doors.storefront import hot
from counterfoil.doors.storefront.book import Book
from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.tokens import LOOKED_UP_EVERY, Gate
from counterfoil.hub.availability.stock import Row
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import apitokens
from counterfoil.processes.stock import Rules
from counterfoil.retail.availability import UNIT
from counterfoil.retail.product import Product, Variant

pytestmark = ON_SQLITE
MINUTE = 60.0
SAFETY = "safety: [{units: 2}], "


class Scene:
    """The routes on a book whose clock is ours. There are ten of A, and a product with B, which is not counted."""

    def __init__(self, store: Store, rules: str = "low: 3") -> None:
        self.at, self.store = 1000.0, store
        declared = blueprint(more=f"stock: {{stale_after: 10m, {rules}}}\n")
        self.book = Book(Rules(declared), clock=lambda: self.at)
        self.context = Context(store, declared, {}, Gate(store, clock=lambda: self.at), self.book, None)
        transport = httpx.ASGITransport(app=hot.application(self.context))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://hub/storefront/v1")
        self.stands(10)
        service = Product(system="erp", id="2", name="Wrapping", tracked=False, variants=(Variant(id="2", sku="B"),))
        self.book.keep_product(service.model_dump(mode="json"))
        self.book.looked(5000.0, 5003.0)
        self.book.ready = True

    def stands(self, units: int, taken: int = 0, sku: str = "A") -> None:
        places, held = {"WH": (units * UNIT, 0, 0)}, {"WH": taken * UNIT} if taken else {}
        self.book.keep_stock([Row(f"erp:variant:{sku}", sku, places, held, 1.0, 1)])

    async def token(self, *scopes: str) -> str:
        """Makes one and sends it from now on; its id."""
        id_, token = await apitokens.add(self.store, "shop", SHOP, list(scopes or ["availability"]), None, "ada")
        self.http.headers["Authorization"] = f"Bearer {token}"
        return id_

    async def quantity(self, sku: str = "A") -> int:
        return (await self.http.get(f"availability/{sku}")).json()["quantity"]


@pytest.fixture
async def scene(store: Store) -> Scene:
    """With a token that may ask for availability."""
    made = Scene(store)
    await made.token()
    return made


async def test_one_sku(scene: Scene) -> None:
    """The number, what it means, as of when, and how old that is."""
    answer = await scene.http.get("availability/A")
    assert answer.json() == {
        **{"sku": "A", "state": "in_stock", "quantity": 10, "beyond": 0},
        **{"as_of": "1970-01-01T01:23:20.000Z", "age_seconds": 3, "stale": False},
    }
    assert answer.headers["cache-control"] == "private, no-cache"
    assert (await scene.http.get("availability/B")).json()["state"] == "untracked"


async def test_it_follows_each_change(scene: Scene) -> None:
    """What was answered before is not answered again."""
    assert await scene.quantity() == 10
    scene.stands(10, taken=8)
    assert await scene.quantity() == 2
    scene.stands(1, taken=8)
    assert await scene.quantity() == 0


async def test_who_has_the_numbers_already_is_told_so(scene: Scene) -> None:
    """304 as long as the numbers are the same, however old, with the time as of which they hold."""
    etag = (await scene.http.get("availability/A")).headers["etag"]
    listed = (await scene.http.get("availability?skus=A,B")).headers["etag"]
    scene.at += 60
    scene.book.looked(5060.0, 5063.0)
    for path, known in (("availability/A", etag), ("availability?skus=A,B", listed)):
        same = await scene.http.get(path, headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["as-of"]) == (304, b"", "1970-01-01T01:24:20.000Z")
    scene.stands(9)
    for path, known in (("availability/A", etag), ("availability?skus=A,B", listed)):
        assert (await scene.http.get(path, headers={"If-None-Match": known})).status_code == 200


async def test_many_skus(scene: Scene) -> None:
    """In the order asked for, each once; what there is not is named apart. A comma in a SKU is written %2C."""
    scene.stands(4, sku="A,1/2")
    for answer in (
        await scene.http.get("availability?skus=A,X,A%2C1/2,A"),
        await scene.http.post("availability", json={"skus": ["A", "X", "A,1/2", "A"]}),
    ):
        said = answer.json()
        assert [(each["sku"], each["quantity"]) for each in said["items"]] == [("A", 10), ("A,1/2", 4)]
        assert (said["unknown"], said["stale"]) == (["X"], False)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"skus": [f"S{n}" for n in range(500)]}, 200),
        ({"skus": [f"S{n}" for n in range(501)]}, 422),
        ({"skus": []}, 422),
        ({"skus": ["A", ""]}, 422),
        ({"skus": [1]}, 422),
        ({"skus": "A"}, 422),
        (["A"], 422),
        ({"skus": ["A" * 300_000]}, 413),
    ],
)
async def test_what_is_asked_for_must_be_readable(scene: Scene, body: Any, status: int) -> None:
    """Up to 500 SKUs; else the answer says what is expected."""
    answer = await scene.http.post("availability", json=body)
    assert answer.status_code == status
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["remedy"]


async def test_refusals(scene: Scene) -> None:
    """Each says what to do; nothing is answered without a token that may ask."""
    assert (await scene.http.get("availability/X")).status_code == 404
    assert (await scene.http.get("availability/")).status_code == 404
    assert (await scene.http.get("availability")).status_code == 422
    assert (await scene.http.post("availability", content=b"{")).status_code == 422
    assert (await scene.http.post("availability/A")).headers["allow"] == "GET, HEAD"
    assert (await scene.http.put("availability")).status_code == 405
    scene.book.ready = False
    assert (await scene.http.get("availability/A")).headers["retry-after"]
    await scene.token("catalogue")
    assert (await scene.http.get("availability/A")).status_code == 403
    del scene.http.headers["Authorization"]
    assert (await scene.http.get("availability/A")).status_code == 401


async def test_a_revoked_token_ends_within_seconds(scene: Scene) -> None:
    """It is known without asking the store, but for no longer than it may be."""
    id_ = await scene.token()
    assert await scene.quantity() == 10
    assert await apitokens.revoke(scene.store, id_, "ada")
    scene.at += LOOKED_UP_EVERY + 0.1
    assert (await scene.http.get("availability/A")).status_code == 401


STALE: Mapping[str, tuple[int, int]] = {"sell_on": (8, 5), "safety_only": (2, 0), "stop": (0, 0)}


@pytest.mark.parametrize("rule", STALE)
async def test_with_odoo_gone_what_was_sold_is_taken_off_and_past_its_age_the_channels_rule_decides(
    store: Store, rule: str
) -> None:
    """Ten are there, two of them safety stock: until `stale_after` eight are sold, whoever looks; then by the rule."""
    scene = Scene(store, f"{SAFETY}when_stale: {{{SHOP}: {rule}}}")
    await scene.token()
    scene.at += 9 * MINUTE
    assert await scene.quantity() == 8
    known = (await scene.http.get("availability/A")).headers["etag"]
    scene.at += 2 * MINUTE
    answer = await scene.http.get("availability/A", headers={"If-None-Match": known})
    said = answer.json()
    assert (said["stale"], said["age_seconds"], said["quantity"]) == (True, 11 * 60 + 3, STALE[rule][0])
    scene.stands(10, taken=3)
    assert await scene.quantity() == STALE[rule][1]
    scene.book.looked(6000.0, 6000.0)
    assert (await scene.quantity(), scene.book.freshness().stale) == (5, False)


async def test_who_watches_is_told_once_of_all_that_changed(scene: Scene) -> None:
    """Also of a bundle whose part has changed; of nothing else, and of nothing twice."""
    scene.book.rules.learn_kits({"SET": {"A": UNIT}})
    with scene.book.watch(["A", "SET"]) as watch:
        assert await watch.changed(0.0) == []
        scene.stands(9)
        scene.stands(8)
        scene.stands(1, sku="C")
        assert await watch.changed(5.0) == ["A", "SET"]
        scene.stands(8)
        assert await watch.changed(0.0) == []
    scene.stands(7)
    assert await watch.changed(0.0) == []


async def test_kits_that_are_parts_of_themselves_are_left_out(scene: Scene) -> None:
    """What Odoo and the blueprint say together may make a circle: everything else is answered all the same."""
    variants = (Variant(id="A", sku="A"), Variant(id="C", sku="C"))
    kits = (("A", (("C", Decimal(1)),)), ("C", (("A", Decimal(1)),)))
    product = Product(system="erp", id="3", name="Box", variants=variants, kits=kits)
    scene.stands(4, sku="C")
    scene.book.keep_product(product.model_dump(mode="json"))
    scene.book.learn_kits()
    assert (await scene.quantity("A"), await scene.quantity("C")) == (10, 4)
    scene.book.keep_product(product.model_copy(update={"kits": kits[:1]}).model_dump(mode="json"))
    scene.book.learn_kits()
    assert (await scene.quantity("A"), await scene.quantity("C")) == (4, 4)
