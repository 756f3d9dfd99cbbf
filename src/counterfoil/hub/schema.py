"""The hub's tables, written once for SQLite and PostgreSQL.

Times are seconds since the epoch (UTC) by the database's own clock; business times stand in the events.
`delivery` holds unfinished work only: what is finished moves to `delivery_log`, so that claiming stays quick.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

metadata = sa.MetaData()

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Seconds: sa.Double[float] = sa.Double()

HELD = 9e12
"""`due_at` of a lane that waits for a person."""

receipt = sa.Table(
    "receipt",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("object_id", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),  # webhook, poll, import
    sa.Column("received_at", Seconds, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("headers", sa.JSON, nullable=False),
    sa.Index("receipt_object", "system", "kind", "object_id", "id"),
    sqlite_autoincrement=True,
)

object_ = sa.Table(
    "object",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("object_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("state", sa.JSON, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),  # what its process made of it: waiting, placed, not_wanted …
    sa.Column("canonical_id", sa.Text, nullable=False),
    sa.Column("updated_at", Seconds, nullable=False),
    sa.Index("object_canonical", "canonical_id"),
)

seen = sa.Table(
    "seen",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),  # of the body last decoded; outlives the purge of bodies
    sa.Column("at", Seconds, nullable=False),
)

event = sa.Table(
    "event",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("time", Seconds, nullable=False),
    sa.Column("recorded_at", Seconds, nullable=False),
    sa.Column("correlation", sa.Text, nullable=False),
    sa.Column("causation", sa.Text),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("traceparent", sa.Text),  # W3C trace context, where what brought it about is traced
    sa.Index("event_subject", "subject", "recorded_at"),
    sa.Index("event_recorded", "recorded_at", "id"),  # for replays, and for the purge by age
)

tally = sa.Table(  # so many facts of a type that a system told of, in the quarter of an hour that begins then
    "tally",
    metadata,
    sa.Column("quarter", Id, primary_key=True),
    sa.Column("type", sa.Text, primary_key=True),  # empty, in one row: until then all is counted
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("n", Id, nullable=False),
)

event_ref = sa.Table(
    "event_ref",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
)

delivery = sa.Table(
    "delivery",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("event_id", sa.Text),
    sa.Column("receipt_id", Id),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("created_at", Seconds, nullable=False),
    sa.Column("promise_by", Seconds),
    sa.Column("on_exception", sa.Text, nullable=False),  # hold or pass
    sa.Column("not_before", Seconds),  # where its flow lets it wait for a run or a window
    sa.Index("delivery_lane", "system", "stream", "key", "id"),
    sa.Index("delivery_subject", "subject"),
    sqlite_autoincrement=True,  # ids of finished deliveries are not used again
)

delivery_log = sa.Table(
    "delivery_log",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("delivery_id", Id, nullable=False),
    sa.Column("event_id", sa.Text),
    sa.Column("receipt_id", Id),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("created_at", Seconds, nullable=False),
    sa.Column("promise_by", Seconds),
    sa.Column("started_at", Seconds, nullable=False),
    sa.Column("ended_at", Seconds, nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
    sa.Index("delivery_log_subject", "subject", "id"),
)

lane = sa.Table(
    "lane",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("due_at", Seconds, nullable=False),
    sa.Column("lease_until", Seconds),
    sa.Column("worker", sa.Text),
    sa.Column("token", sa.Text),
)
sa.Index(
    "lane_due",
    *(lane.c.system, lane.c.stream, lane.c.due_at),
    sqlite_where=lane.c.worker.is_(None),
    postgresql_where=lane.c.worker.is_(None),
)
sa.Index(
    "lane_leased",
    lane.c.lease_until,
    sqlite_where=lane.c.worker.is_not(None),
    postgresql_where=lane.c.worker.is_not(None),
)

exception = sa.Table(
    "exception",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),  # open, resolved, retried, skipped
    sa.Column("opened_at", Seconds, nullable=False),
    sa.Column("closed_at", Seconds),
    sa.Column("closed_by", sa.Text),
    sa.Column("note", sa.Text),
    sa.Column("delivery_id", Id),  # NULL: about a system as a whole
    sa.Column("event_id", sa.Text),
    sa.Column("receipt_id", Id),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("technical", sa.Text, nullable=False),
    sa.Column("suggestion", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("held", sa.Boolean, nullable=False),
    sa.Column("created_at", Seconds, nullable=False),
    sa.Column("promise_by", Seconds),
    sa.Column("likeness", sa.Text, nullable=False, server_default=""),  # empty: code of before 0006 has opened it
    sa.Column("respond_by", Seconds),  # when it goes to the next owner; NULL: nobody has reckoned that yet
    sa.Column("step", sa.Integer, nullable=False, server_default="0"),  # how often it went to the next owner
    sa.Column("acknowledged_at", Seconds),
    sa.Column("acknowledged_by", sa.Text),
    sa.Index("exception_open", "status", "opened_at"),
    sa.Index("exception_subject", "subject"),
    sa.Index("exception_delivery", "delivery_id"),
)
sa.Index(  # grouped without a look at the rows
    "exception_alike",
    *(exception.c.likeness, exception.c.owner, exception.c.opened_at, exception.c.id),
    sqlite_where=exception.c.status == "open",
    postgresql_where=exception.c.status == "open",
)
sa.Index(
    "exception_respond",
    exception.c.respond_by,
    sqlite_where=exception.c.status == "open",
    postgresql_where=exception.c.status == "open",
)

exception_fix = sa.Table(  # a row of the blueprint that was proposed for what is alike: tried again once it is in force
    "exception_fix",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("likeness", sa.Text, nullable=False),
    sa.Column("row", sa.JSON, nullable=False),  # as it is added to the blueprint: {section: ...}
    sa.Column("change", Id, nullable=False),  # the number of the proposal
    sa.Column("at", Seconds, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("done_at", Seconds),
)

correction = sa.Table(  # what a person has put in the place of a value, for as long as the thing's home system says it
    "correction",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),  # as retail/editable.py names it: billing.country, lines.7.sku
    sa.Column("was", sa.Text, nullable=False),
    sa.Column("becomes", sa.Text, nullable=False),
    sa.Column("exception", Id, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("at", Seconds, nullable=False),
    sa.Column("ended_at", Seconds),
    sa.Column("ended_why", sa.Text),
    sa.Index("correction_subject", "subject"),
)
sa.Index(
    "correction_in_force",
    *(correction.c.subject, correction.c.path),
    unique=True,
    sqlite_where=correction.c.ended_at.is_(None),
    postgresql_where=correction.c.ended_at.is_(None),
)

notice = sa.Table(  # what an owner was told of what is alike, at one place where they are reached
    "notice",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("likeness", sa.Text, primary_key=True),
    sa.Column("receiver", sa.Text, primary_key=True),
    sa.Column("told", Id, nullable=False),  # the last exception they were told of; 0: none
    sa.Column("due_at", Seconds),  # when they are told of what is new; NULL: nothing is
    sa.Column("told_at", Seconds),
    sa.Column("tries", sa.Integer, nullable=False),  # that failed since
    sa.Column("words", sa.JSON, nullable=False),  # what is needed to say that it is over
)

notice_sent = sa.Table(  # when messages went out, for the most an hour
    "notice_sent",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("receiver", sa.Text, nullable=False),
    sa.Column("at", Seconds, nullable=False),
    sa.Index("notice_sent_at", "receiver", "at"),
)

link = sa.Table(
    "link",
    metadata,
    sa.Column("canonical_id", sa.Text, primary_key=True),
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("object_id", sa.Text, nullable=False),
    sa.Column("since", Seconds, nullable=False),
    sa.Index("link_object", "system", "object_id"),
)

told_apart = sa.Table(  # what a person has said not to be the same; shaped as `link`, and never proposed again
    "told_apart",
    metadata,
    sa.Column("canonical_id", sa.Text, primary_key=True),
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("object_id", sa.Text, primary_key=True),
    sa.Column("since", Seconds, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
)

merged = sa.Table(  # two records of one system that a person has said to be the same; `into_id` is the one that counts
    "merged",
    metadata,
    sa.Column("canonical_id", sa.Text, primary_key=True),
    sa.Column("into_id", sa.Text, nullable=False),
    sa.Column("links", sa.JSON, nullable=False),  # [canonical id before, after, system, object id before, after]
    sa.Column("since", Seconds, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Index("merged_into", "into_id"),
)

system_state = sa.Table(
    "system_state",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("open_until", Seconds, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("since", Seconds, nullable=False),
    sa.Column("prober", sa.Text),  # who has the right to try one call; NULL: nobody
    sa.Column("probe_until", Seconds),
)

pace = sa.Table(
    "pace",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("operation", sa.Text, primary_key=True),  # empty: all calls of the system
    sa.Column("next_at", Seconds, nullable=False),
    sa.Column("learnt", Seconds),  # seconds between two deliveries, as its answers asked for
    sa.Column("learnt_until", Seconds),
)

call_slot = sa.Table(  # the calls that may run at once at a system with a declared concurrency
    "call_slot",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("until", Seconds, nullable=False),
    sa.Column("token", sa.Text),
)

cursor = sa.Table(
    "cursor",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
    sa.Column("next_at", Seconds, nullable=False),
    sa.Column("token", sa.Text),
    sa.Column("began_at", Seconds),
    sa.Column("ok_at", Seconds),  # when the last look that worked began: all that was so before has been seen
)

counter = sa.Table(
    "counter",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("n", Id, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("at", Seconds, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("act", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("place", Id),  # its number in the chain; NULL, as the next two: written by an older version
    sa.Column("before", sa.Text),  # the hash of the row before it
    sa.Column("hash", sa.Text),
    sa.Index("audit_place", "place", unique=True),
)  # append-only, by triggers of the database's own (migration 0006); written by hub/access/audit.py alone

audit_head = sa.Table(  # how many rows were written, and the hash of the last: one row, of id 1
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("place", Id, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)

promise = sa.Table(  # what must have happened by when, by the process promises of the blueprint
    "promise",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("event_id", sa.Text, nullable=False),  # the fact that made it
    sa.Column("began_at", Seconds, nullable=False),
    sa.Column("due_at", Seconds, nullable=False),
    sa.Column("missed_at", Seconds),  # when its absence was put before a person
    sa.Column("ended_at", Seconds),
    sa.Column("ended_as", sa.Text),  # kept, late or void; NULL: still open
    sa.Column("took", Seconds),  # from began_at to ended_at, in the open hours of its calendar where it has one
    sa.Index("promise_subject", "subject"),
)
sa.Index(  # one at a time for each name and subject: the first fact that is not answered counts
    "promise_open",
    *(promise.c.subject, promise.c.name),
    unique=True,
    sqlite_where=promise.c.ended_at.is_(None),
    postgresql_where=promise.c.ended_at.is_(None),
)
sa.Index(
    "promise_due",
    promise.c.due_at,
    sqlite_where=sa.and_(promise.c.ended_at.is_(None), promise.c.missed_at.is_(None)),
    postgresql_where=sa.and_(promise.c.ended_at.is_(None), promise.c.missed_at.is_(None)),
)
sa.Index("promise_ended", promise.c.name, promise.c.ended_at)

blueprint_change = sa.Table(  # what was in force from when, who changed it, why, and who approved it
    "blueprint_change",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),  # as YAML with every default, secrets as their references
    sa.Column("sections", sa.JSON, nullable=False),  # the names of the parts that differ from the one before
    sa.Column("proposed_at", Seconds, nullable=False),
    sa.Column("proposed_by", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("approved_at", Seconds),
    sa.Column("approved_by", sa.Text),
    sa.Column("in_force_at", Seconds),
)

# --- stock that may be promised -------------------------------------------------------------------------------------
# Quantities are whole thousandths of the article's unit of measure: exact, and added up in SQL.

stock = sa.Table(  # one row an article: the last reading of the ERP, and what is taken and not yet in any reading
    "stock",
    metadata,
    sa.Column("article", sa.Text, primary_key=True),  # canonical id of the variant: odoo:variant:23
    sa.Column("sku", sa.Text, nullable=False),
    sa.Column("places", sa.JSON, nullable=False),  # {place: [on_hand, outgoing, incoming]}
    sa.Column("taken", sa.JSON, nullable=False),  # {place: units}: the sum of its `taking` rows, less what is known
    sa.Column("asked_at", Seconds, nullable=False),  # when the last reading began, by the store's clock; 0: no reading
    sa.Column("changed", Id, nullable=False),  # the transaction that wrote it: what read models follow
    sa.Column("untold_at", Seconds),  # since when the channels have not been told of it
    sa.Index("stock_sku", "sku"),
    sa.Index("stock_changed", "changed"),
)
sa.Index(
    "stock_untold",
    stock.c.untold_at,
    sqlite_where=stock.c.untold_at.is_not(None),
    postgresql_where=stock.c.untold_at.is_not(None),
)

taking = sa.Table(  # what a reservation holds, or an order claims, of an article at a place
    "taking",
    metadata,
    sa.Column("holder", sa.Text, primary_key=True),  # a reservation's id, or an order's canonical id
    sa.Column("article", sa.Text, primary_key=True),
    sa.Column("place", sa.Text, primary_key=True),  # a warehouse's code; empty: not yet said where
    sa.Column("units", Id, nullable=False),
    sa.Column("accepted", Id, nullable=False),  # of them the ERP had, at `accepted_at`
    sa.Column("known", Id, nullable=False),  # of them in the ERP's own outgoing, by a reading begun after it had them
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("accepted_at", Seconds),  # when the ERP was known to have the order confirmed, by the store's clock
    sa.Column("since", Seconds, nullable=False),
    sa.Index("taking_article", "article"),
)
sa.Index(
    "taking_accepted",
    taking.c.accepted_at,
    sqlite_where=taking.c.accepted_at.is_not(None),
    postgresql_where=taking.c.accepted_at.is_not(None),
)

told = sa.Table(  # the stock number that a channel was last told of an article, or is being told
    "told",
    metadata,
    sa.Column("article", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("quantity", Id, nullable=False),  # whole units
    sa.Column("at", Seconds, nullable=False),
)

reservation = sa.Table(
    "reservation",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # held, confirmed, ordered, released, expired
    sa.Column("lines", sa.JSON, nullable=False),  # as they were asked for
    sa.Column("order_number", sa.Text, nullable=False),  # the shop's, once it was confirmed for one; else empty
    sa.Column("made_at", Seconds, nullable=False),
    sa.Column("expires_at", Seconds, nullable=False),
    sa.Column("ended_at", Seconds),
    sa.Index("reservation_order", "channel", "order_number"),
    sa.Index("reservation_ended", "ended_at"),
)
sa.Index(
    "reservation_expires",
    reservation.c.expires_at,
    sqlite_where=reservation.c.ended_at.is_(None),
    postgresql_where=reservation.c.ended_at.is_(None),
)

answered = sa.Table(  # what a request with an Idempotency-Key was answered
    "answered",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),  # the channel and the act
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),  # of the request: the same key for another request is refused
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("at", Seconds, nullable=False),
    sa.Index("answered_at", "at"),
)

api_token = sa.Table(
    "api_token",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False, unique=True),  # SHA-256 of the token; the token itself is nowhere
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("rate", sa.Double),  # requests a second; NULL: the usual
    sa.Column("made_at", Seconds, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("revoked_at", Seconds),
)

signing_key = sa.Table(  # what the links that the storefront gives out are signed with, by what they are for
    "signing_key",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("made_at", Seconds, nullable=False),
)

routing = sa.Table(  # where the goods of an order ship from
    "routing",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # the order's canonical id
    sa.Column("lines", sa.JSON, nullable=False),  # {line: [[place, units], ...]}
    sa.Column("words", sa.JSON, nullable=False),  # why, a text each
    sa.Column("at", Seconds, nullable=False),
    sa.Index("routing_at", "at", "id"),
)

prescription = sa.Table(  # what it says is sealed (hub/vault.py); nothing here tells of anybody's health
    "prescription",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),  # the order's canonical id
    sa.Column("number", sa.Text, nullable=False),  # the shop's
    sa.Column("lines", sa.JSON, nullable=False),  # the ids of the order's lines that it is for
    sa.Column("state", sa.Text, nullable=False),  # to_release, released, rejected, replaced
    sa.Column("sealed", sa.LargeBinary),  # NULL once it was replaced
    sa.Column("made_at", Seconds, nullable=False),
    sa.Column("decided_at", Seconds),
    sa.Column("decided_by", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),  # the code of a rejection
    sa.Index("prescription_subject", "subject"),
    sa.Index("prescription_state", "state", "made_at"),
)

trial = sa.Table(  # orders whose goods are tried on at home
    "trial",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # the order's canonical id
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("number", sa.Text, nullable=False),  # the shop's
    sa.Column("state", sa.Text, nullable=False),  # open, asked, settled, closed
    sa.Column("look_at", Seconds),  # when it may go on by itself; NULL: when something happens to the order
    sa.Column("charge", sa.JSON),  # what was charged, once it is settled
    sa.Column("made_at", Seconds, nullable=False),
    sa.Column("ended_at", Seconds),
)
sa.Index(
    "trial_look",
    trial.c.look_at,
    sqlite_where=trial.c.look_at.is_not(None),
    postgresql_where=trial.c.look_at.is_not(None),
)

# --- appointments ---------------------------------------------------------------------------------------------------
# Times are whole seconds since the epoch. That what is held of one member of staff never overlaps is also a rule of the
# database's own (an exclusion constraint on PostgreSQL, triggers on SQLite; see migration 0005), whoever writes.

appointment = sa.Table(
    "appointment",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # requested, booked, moved, cancelled, refused
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("staff", sa.Text, nullable=False),
    sa.Column("starts_at", Id, nullable=False),
    sa.Column("ends_at", Id, nullable=False),
    sa.Column("held_from", Id, nullable=False),  # with what is kept free before and after
    sa.Column("held_until", Id, nullable=False),
    sa.Column("visitor", sa.JSON, nullable=False),
    sa.Column("asked", sa.Integer, nullable=False),  # how often its time was asked for or given up: part of event ids
    sa.Column("known_at", sa.Text, nullable=False),  # when our last write was read back, by the calendar's own clock
    sa.Column("made_at", Seconds, nullable=False),
    sa.Column("ended_at", Seconds),  # since when it holds no time any more
    sa.Index("appointment_staff", "staff", "held_until"),
)

busy = sa.Table(  # when somebody is not free, by the last reading of their calendar
    "busy",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("calendar", sa.Text, primary_key=True),  # one week of one person's
    sa.Column("engagement", sa.Text, primary_key=True),
    sa.Column("who", sa.Text, nullable=False),  # the user, as the blueprint names them
    sa.Column("starts_at", Id, nullable=False),
    sa.Column("ends_at", Id, nullable=False),
    sa.Column("appointment", sa.Text, nullable=False),  # the canonical id, where it is one of ours; else empty
    sa.Index("busy_who", "system", "who", "ends_at"),
    sa.Index("busy_appointment", "appointment"),
)

# --- people ----------------------------------------------------------------------------------------------------------

person = sa.Table(  # who may sign in
    "person",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("login", sa.Text, nullable=False, unique=True),  # in small letters; what stands in the audit
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("password", sa.Text),  # its argon2id hash; NULL: signs in elsewhere
    sa.Column("identity", sa.Text, unique=True),  # issuer and subject of who signs in elsewhere
    sa.Column("roles", sa.JSON, nullable=False),
    sa.Column("made_at", Seconds, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("seen_at", Seconds),  # when they last signed in
    sa.Column("disabled_at", Seconds),
)

session = sa.Table(
    "session",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),  # SHA-256 of the token; the token itself is nowhere
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("made_at", Seconds, nullable=False),
    sa.Column("used_at", Seconds, nullable=False),
    sa.Column("ends_at", Seconds, nullable=False),  # at the latest, however much it is used
    sa.Index("session_person", "person"),
)

sign_in_failure = sa.Table(  # how often signing in has failed lately, by name and by address
    "sign_in_failure",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),  # a SHA-256: what people type in the wrong field is no name
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("until", Seconds, nullable=False),  # until then no further try is looked at
    sa.Column("at", Seconds, nullable=False),
)

personal_token = sa.Table(
    "personal_token",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("rights", sa.JSON, nullable=False),
    sa.Column("made_at", Seconds, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("ends_at", Seconds, nullable=False),
    sa.Column("revoked_at", Seconds),
    sa.Index("personal_token_person", "person"),
)

# --- what people look for, and what they have stopped ----------------------------------------------------------------

search_key = sa.Table(  # a thing's numbers, as people type them; `event_ref` says which event each came with
    "search_key",
    metadata,
    sa.Column("thing", sa.Text, primary_key=True),  # order, customer, product …: the middle of a canonical id
    sa.Column(  # lower case; by its bytes, so that one index serves what begins with it, whatever the database's order
        "value", sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql"), primary_key=True
    ),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),  # order, email (hashed), sku … or a system's name
    sa.Column("at", Seconds, nullable=False),  # when it was first heard of
    sqlite_with_rowid=False,
)

paused = sa.Table(  # what a person has stopped; empty stream: all that is done at the system
    "paused",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("since", Seconds, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)

drain = sa.Table(  # what a person wanted done now at a place (as `paused`), the last time
    "drain",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("began_at", Seconds, nullable=False),
    sa.Column("upto", Id, nullable=False),  # the last delivery that is meant
    sa.Column("total", Id, nullable=False),  # how many there were
    sa.Column("who", sa.Text, nullable=False),
)

replay = sa.Table(  # events of the past that are given to the present flows once more, a chunk at a time
    "replay",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),  # a digest of the choice: the same is not begun twice
    sa.Column("choice", sa.JSON, nullable=False),
    sa.Column("rate", sa.Double, nullable=False),  # deliveries a second; 0: at once
    sa.Column("state", sa.Text, nullable=False),  # running, stopped, done, failed
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("began_at", Seconds, nullable=False),
    sa.Column("until", Seconds, nullable=False),  # events recorded from then on are not its business
    sa.Column("planned", sa.JSON, nullable=False),  # {events, deliveries}, as the dry run found them
    sa.Column("at", Seconds, nullable=False),  # the place: the last event that was looked at
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("events", Id, nullable=False),
    sa.Column("deliveries", Id, nullable=False),
    sa.Column("due_at", Seconds, nullable=False),  # when the next chunk may go, by its rate
    sa.Column("lease_until", Seconds, nullable=False),
    sa.Column("token", sa.Text),  # of the process that works on it
    sa.Column("ended_at", Seconds),
    sa.Column("ended_by", sa.Text, nullable=False),  # who stopped it
    sa.Column("trouble", sa.Text, nullable=False),  # why it failed
)
sa.Index("replay_name", replay.c.name, replay.c.state)

system_version = sa.Table(  # what a system said it is: the newest row of a name holds now, older ones held before
    "system_version",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),  # of the product: Odoo, WordPress; API
    sa.Column("since", Seconds, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("seen_at", Seconds, nullable=False),  # when it said so last
    sa.Column("tested", sa.Text, nullable=False),  # with what the connector was tested, in words
    sa.Column("doubt", sa.Text, nullable=False),  # why it may not fit, in words; empty: tested
    sa.Column("remedy", sa.Text, nullable=False),
)

system_look = sa.Table(  # what the last look at a system found: the doctor's, and that of care
    "system_look",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("look", sa.Text, primary_key=True),
    sa.Column("at", Seconds, nullable=False),
    sa.Column("found", sa.JSON, nullable=False),  # [check, mark, found, remedy]
)

credential = sa.Table(  # when a secret of the blueprint was last another one; the secret itself is nowhere
    "credential",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),  # scrypt, with its salt in front
    sa.Column("since", Seconds, nullable=False),
)

sa.Index("event_type", event.c.type, event.c.recorded_at, event.c.source)  # for counting facts of the last hours
sa.Index("delivery_log_ended", delivery_log.c.ended_at)
sa.Index("link_id", link.c.object_id)
sa.Index(  # when a system's webhook came last
    "receipt_webhook",
    *(receipt.c.system, receipt.c.received_at),
    sqlite_where=receipt.c.origin == "webhook",
    postgresql_where=receipt.c.origin == "webhook",
)
