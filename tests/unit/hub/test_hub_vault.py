"""What is sealed opens with its key, for its purpose, unchanged, and in no other way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.hub.storefront.vault import BadKey, NotOpened, Vault, new_key

KEY, OTHER = new_key(), new_key()


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_is_sealed_opens_for_the_same_purpose(clear: bytes, purpose: str) -> None:
    vault = Vault(KEY)
    sealed = vault.seal(clear, purpose)
    assert vault.open(sealed, purpose) == clear
    assert Vault(OTHER, [KEY]).open(sealed, purpose) == clear
    assert sealed != vault.seal(clear, purpose), "each has a nonce of its own"


@given(st.binary(min_size=1, max_size=50), st.data())
def test_what_was_changed_anywhere_does_not_open(clear: bytes, data: st.DataObject) -> None:
    vault = Vault(KEY)
    sealed = bytearray(vault.seal(clear, "a"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(NotOpened):
        vault.open(bytes(sealed), "a")


@pytest.mark.parametrize("cut", [0, 5, 9, 21, 30])
def test_a_part_of_it_another_purpose_or_another_key_does_not_open(cut: int) -> None:
    sealed = Vault(KEY).seal(b"the secret words", "a")
    for vault, part, purpose in ((KEY, sealed[:cut], "a"), (KEY, sealed, "b"), (OTHER, sealed, "a")):
        with pytest.raises(NotOpened) as raised:
            Vault(vault).open(part, purpose)
        assert "secret" not in str(raised.value)


def test_a_name_is_the_same_for_the_same_parts_and_key_only() -> None:
    name = Vault(KEY).name(b"ab", b"c")
    assert name == Vault(KEY).name(b"ab", b"c")
    assert len({name, Vault(KEY).name(b"a", b"bc"), Vault(OTHER).name(b"ab", b"c")}) == 3


@pytest.mark.parametrize(
    "text",
    ["", "short", "ä" * 44, new_key()[:-4], new_key() + "AAAA"],
    ids=["empty", "short", "not ascii", "cut off", "too long"],
)
def test_what_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(BadKey) as raised:
        Vault(text)
    assert not text or text not in str(raised.value)
