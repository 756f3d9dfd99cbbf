"""`${NAME}` and `{file: path}`: where a blueprint's secrets, and the parts of its addresses, come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from counterfoil.blueprint.problems import quoted
from counterfoil.blueprint.values import Secret

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
WRITTEN_OUT = ("a value written out", "an address with its password written out")
"""What was found where a secret stands in the blueprint itself."""
_MAX_FILE = 65_536  # bytes; a key or a certificate is far smaller
_STORES = "sqlite:///<file> or postgresql://<user>:${DB_PASSWORD}@<host>/<database>"


class NotGiven(Exception):
    """A value could not be looked up, or must not be given this way. Becomes a Problem at its place."""

    def __init__(self, expected: str, found: str | None = None, hint: str = "") -> None:
        super().__init__(expected)
        self.expected, self.found, self.hint = expected, found, hint


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where to look.

    `folder` is what file paths are relative to. `required` False leaves references that lead nowhere as they are.
    """

    environ: Mapping[str, str]
    folder: FilePath
    required: bool = True

    def secret(self, value: Any) -> Secret:
        """A secret field's value. Raises NotGiven if it is written out, or if its reference leads nowhere."""
        if isinstance(value, dict) and set(value) == {"file"} and isinstance(value["file"], str) and value["file"]:
            return self._from_file(value["file"])
        name = REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if name is None:
            found = None if value is None or isinstance(value, dict | list) else WRITTEN_OUT[0]
            hint = "a secret must not stand in the blueprint"
            raise NotGiven("${NAME} for an environment variable, or {file: path}", found, hint)
        text = self.environ.get(name[1])
        if not self.required:
            return Secret(text or None, value)
        if not text:
            empty = "is empty" if text == "" else "is not set"
            raise NotGiven(f"a secret in the environment variable {name[1]}", hint=f"{name[1]} {empty}")
        return Secret(_whole(text, name[1]), value)

    def text(self, value: str) -> str:
        """`value` with every `${NAME}` replaced. Raises NotGiven for a name that is not set."""
        _well_formed(value)
        missing = sorted({name for name in REFERENCE.findall(value) if name not in self.environ})
        if missing:
            if not self.required:
                return value
            is_or_are = "is" if len(missing) == 1 else "are"
            raise NotGiven("every ${NAME} to be set", hint=f"{', '.join(missing)} {is_or_are} not in the environment")
        return REFERENCE.sub(lambda match: _whole(self.environ[match[1]], match[1]), value)

    def store(self, value: Any) -> Secret:
        """The address of the store, whose password must be a reference. Raises NotGiven."""
        if not isinstance(value, str):
            raise NotGiven(_STORES)
        _no_password_written_out(value)
        # What is put in before the @ must not end the password early: p@ss would change the host.
        for name in REFERENCE.findall(value.rpartition("@")[0]):
            if re.search(r"[\s@/:?#\[\]]", self.environ.get(name, "")):
                hint = f"{name} holds one of @ / : ? # [ ] or a space"
                raise NotGiven("a password with its special characters percent-encoded", hint=hint)
        text = self.text(value)
        if "${" not in text and not re.match(r"sqlite:///.|postgresql://.", text):
            raise NotGiven(_STORES)
        return Secret(text, value) if "${" not in text else Secret(None, value)

    def _from_file(self, written: str) -> Secret:
        found = f"{{file: {quoted(written)}}}"
        path = self.folder / self.text(written)
        if not self.required:
            return Secret(None, file=written)
        shown = quoted(str(path), limit=500)
        try:
            if path.exists() and not path.is_file():  # a pipe or device might never end
                raise NotGiven("a readable file", found, f"{shown} is not a file")
            with path.open("rb") as file:
                raw = file.read(_MAX_FILE + 1)
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise NotGiven("UTF-8 text in the file", found) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise NotGiven("a readable file", found, f"looked for {shown}: {reason}") from None
        if len(raw) > _MAX_FILE:
            raise NotGiven("a secret of at most 64 kB", found)
        text = text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")
        if not text:
            raise NotGiven("a secret in the file", found, f"{shown} is empty")
        return Secret(text, file=written)


def _whole(text: str, name: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotGiven(f"UTF-8 text in the environment variable {name}") from None
    return text


def _well_formed(value: str) -> None:
    if "${" in REFERENCE.sub("", value):
        raise NotGiven("${NAME}, with a name of letters, digits and _")


def _no_password_written_out(value: str) -> None:
    # By pattern rather than by urlsplit, which takes a password with a / in it for a host.
    shown = REFERENCE.sub("", value)
    if re.search(r"://[^@]*:[^@]+@", shown) or re.search(r"[?&][^=&]*pass[^=&]*=[^&]", shown, re.IGNORECASE):
        raise NotGiven(_STORES, WRITTEN_OUT[1], "a secret must not stand in the blueprint")
