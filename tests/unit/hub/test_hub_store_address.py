"""Where the store is: addresses read, refused in plain words, and never shown with their password."""

from __future__ import annotations

import pytest

from counterfoil.hub.store import Store, StoreError, _hide, engine_url, open_store


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///counterfoil.db", "sqlite+aiosqlite"),
        ("postgresql://hub@db.example/counterfoil", "postgresql+asyncpg"),
        ("postgres://hub@db.example/counterfoil", "postgresql+asyncpg"),
        ("postgresql+psycopg://hub@db.example/counterfoil", "postgresql+asyncpg"),
    ],
)
def test_the_two_engines_under_their_usual_names(url: str, driver: str) -> None:
    assert engine_url(url).drivername == driver


def test_another_database_is_refused_with_what_would_do() -> None:
    with pytest.raises(StoreError, match=r"'mysql' is not known; use sqlite:///file or postgresql://"):
        Store("mysql://hub@db.example/counterfoil")


def test_what_is_no_address_is_refused_with_an_example() -> None:
    with pytest.raises(StoreError, match=r"'counterfoil.db' is not an address such as sqlite:///"):
        engine_url("counterfoil.db")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://hub:geheim@db.example/counterfoil",
        "postgresql://hub:p@geheim@db.example/counterfoil",
        "postgresql://:geheim@db.example/counterfoil",
        "postgresql://db.example/counterfoil?user=hub&password=geheim",
        "postgresql//hub:geheim@db.example/counterfoil",
    ],
)
def test_a_password_is_not_shown(url: str) -> None:
    shown = _hide(url)
    assert "geheim" not in shown
    assert "db.example" in shown


def test_not_even_in_the_complaint_about_an_address_that_cannot_be_read() -> None:
    with pytest.raises(StoreError) as refused:
        engine_url("postgresql//hub:geheim@db.example/counterfoil")
    assert "geheim" not in str(refused.value)


async def test_a_folder_that_cannot_be_made_is_said(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="cannot be opened"):
        await open_store(f"sqlite:///{tmp_path}/file/counterfoil.db")
