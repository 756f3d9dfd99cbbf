"""What the blueprint must know of connectors to check itself: handed in by the caller, who sees them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Protocol

from counterfoil.retail.mapping import Overlays, Row, StateRow


class Setting(Protocol):
    """A key of a system's entry that a connector understands. `SettingInfo` is one; a connector's own fits too."""

    @property
    def name(self) -> str:
        """The key."""

    @property
    def required(self) -> bool:
        """Whether the system cannot be used without it."""

    @property
    def secret(self) -> bool:
        """Whether its value must never stand in the blueprint."""

    @property
    def help(self) -> str:
        """What is to be given, in a few words."""


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """A plain `Setting`."""

    name: str
    required: bool = False
    secret: bool = False
    help: str = ""


@dataclass(frozen=True, slots=True)
class OperationInfo:
    """Something a connector can do. `name` is without the system; `emits` are the event types it gives rise to.

    `state`: what it leaves behind is a state, so that of several that wait only the newest need be done. `once` says by
    what it is done but once, `remains` what can go wrong nevertheless; both in words for people.
    """

    name: str
    stream: str
    emits: Collection[str] = ()
    state: bool = False
    once: str = ""
    remains: str = ""


@dataclass(frozen=True, slots=True)
class ConnectorInfo:
    """A kind of system.

    `events` are the types its own changes can become, empty where unknown. `webhook_setting` is the setting whose
    presence means that the system also sends webhooks; without it, it is only polled. `poll` is how often it is
    polled unless its entry says otherwise. `is_channel`: products and stock can be published there. `limits` are what
    is known not to work or to be slow, each as (about, in words). `rows` and `states` say which of its fields and
    states are which of ours, `overlays` what of an object the blueprint may map itself. `reports_with` is the setting
    without which a system does not report an event; a setting `reads`, where there is one, lists those that count.
    """

    name: str
    settings: tuple[Setting, ...] = ()
    operations: tuple[OperationInfo, ...] = ()
    events: Collection[str] = ()
    webhook_setting: str | None = None
    needs_url: bool = True
    poll: timedelta = timedelta(seconds=60)
    is_channel: bool = False
    limits: tuple[tuple[str, str], ...] = ()
    rows: tuple[Row, ...] = ()
    states: tuple[StateRow, ...] = ()
    overlays: Mapping[str, Overlays] = field(default_factory=dict)
    reports_with: Mapping[str, str] = field(default_factory=dict)

    def reports(self, event: str, settings: Mapping[str, object]) -> bool:
        """Whether the own changes of a system with these settings can become that event."""
        needs, reads = self.reports_with.get(event), str(settings.get("reads") or "")
        return event in self.events and (needs is None or (needs in settings and (not reads or needs in reads.split())))

    def setting(self, name: str) -> Setting | None:
        """The setting of that name, if the connector has one."""
        return next((setting for setting in self.settings if setting.name == name), None)

    def operation(self, name: str) -> OperationInfo | None:
        """The operation of that name, if the connector offers one."""
        return next((operation for operation in self.operations if operation.name == name), None)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that exists: connectors, event types, the objects that can have an owner, the reasons of exceptions.

    `reasons` may be empty: then the keys of `exceptions` are taken as they come.
    """

    connectors: Mapping[str, ConnectorInfo]
    events: Collection[str]
    objects: Collection[str] = frozenset({"order", "customer", "product", "stock"})
    reasons: Collection[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, connectors: Iterable[ConnectorInfo], events: Collection[str]) -> Catalogue:
        """A catalogue of these connectors, by their names."""
        return cls(MappingProxyType({connector.name: connector for connector in connectors}), frozenset(events))
