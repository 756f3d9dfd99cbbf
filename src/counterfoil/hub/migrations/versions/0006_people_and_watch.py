"""people who sign in, a chained audit, and what is watched

Additive: code of 0005 goes on working beside it.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import hashlib
import json
import re

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _chain_the_audit()
    _people()
    _exceptions()
    _looking()
    op.add_column("event", sa.Column("traceparent", sa.Text))
    _reported()
    _trials()


def downgrade() -> None:
    for view in REPORTS:
        op.execute(f"DROP VIEW {view}")
    for index, table in INDEXES:
        op.drop_index(index, table)
    op.drop_column("event", "traceparent")
    for table in ("trial", "credential", "paused", "search_key"):
        op.drop_table(table)
    _no_exceptions()
    for table in ("personal_token", "sign_in_failure", "session", "person", "audit_head"):
        op.drop_table(table)
    for statement in LET_GO[op.get_bind().dialect.name]:
        op.execute(statement)
    op.drop_index("audit_place", "audit")
    for column in ("place", "before", "hash"):
        op.drop_column("audit", column)


ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _chain_the_audit() -> None:
    """What is there by now is chained as hub/access/audit.py chains what comes; the rule is written out here, as a
    migration does what it did for ever."""
    for name, kind in (("place", ID), ("before", sa.Text()), ("hash", sa.Text())):
        op.add_column("audit", sa.Column(name, kind))
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("place", ID, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    connection = op.get_bind()
    columns: list[sa.ColumnClause[object]] = [sa.column(name) for name in ("id", "at", "who", "act", "subject")]
    rows = sa.select(*columns, sa.cast(sa.column("detail"), sa.Text).label("said")).select_from(sa.table("audit"))
    audit = sa.table("audit", *(sa.column(name) for name in ("id", "place", "before", "hash")))
    chained = sa.update(audit).where(audit.c.id == sa.bindparam("row"))
    chained = chained.values({name: sa.bindparam(name) for name in ("place", "before", "hash")})
    place, last, before = 0, 0, "0" * 64
    while page := connection.execute(rows.where(columns[0] > last).order_by(columns[0]).limit(1000)).all():
        links = []
        for row in page:
            said = json.dumps([place + 1, *row, before], separators=(",", ":"))
            own = hashlib.sha256(said.encode()).hexdigest()
            place, last = place + 1, row.id
            links.append({"row": last, "place": place, "before": before, "hash": own})
            before = own
        connection.execute(chained, links)
    op.create_index("audit_place", "audit", ["place"], unique=True)
    op.bulk_insert(head, [{"id": 1, "place": place, "hash": before}])
    for statement in APPEND_ONLY[connection.dialect.name]:
        op.execute(statement)


# A row that an older version wrote meanwhile may still be chained, as it is: nothing else changes, nothing goes.
KEPT = " OR ".join(f"OLD.{name} <> NEW.{name}" for name in ("id", "at", "who", "act", "subject"))
APPEND_ONLY = {
    "postgresql": (
        """CREATE FUNCTION counterfoil_audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$""",
        f"""CREATE TRIGGER audit_stays_update BEFORE UPDATE ON audit FOR EACH ROW
            WHEN (OLD.hash IS NOT NULL OR {KEPT} OR OLD.detail::text <> NEW.detail::text)
            EXECUTE FUNCTION counterfoil_audit_stays()""",
        """CREATE TRIGGER audit_stays_delete BEFORE DELETE OR TRUNCATE ON audit FOR EACH STATEMENT
            EXECUTE FUNCTION counterfoil_audit_stays()""",
    ),
    "sqlite": (
        f"""CREATE TRIGGER audit_stays_update BEFORE UPDATE ON audit
            WHEN OLD.hash IS NOT NULL OR {KEPT} OR OLD.detail <> NEW.detail
            BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
        """CREATE TRIGGER audit_stays_delete BEFORE DELETE ON audit
            BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    ),
}
LET_GO = {
    "postgresql": (
        "DROP TRIGGER audit_stays_update ON audit",
        "DROP TRIGGER audit_stays_delete ON audit",
        "DROP FUNCTION counterfoil_audit_stays",
    ),
    "sqlite": ("DROP TRIGGER audit_stays_update", "DROP TRIGGER audit_stays_delete"),
}


def _people() -> None:
    op.create_table(
        "person",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("login", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("password", sa.Text),
        sa.Column("identity", sa.Text, unique=True),
        sa.Column("roles", sa.JSON, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("seen_at", sa.Double),
        sa.Column("disabled_at", sa.Double),
    )
    op.create_table(
        "session",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double, nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
    )
    op.create_index("session_person", "session", ["person"])
    op.create_table(
        "sign_in_failure",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "personal_token",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("rights", sa.JSON, nullable=False),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
        sa.Column("revoked_at", sa.Double),
    )
    op.create_index("personal_token_person", "personal_token", ["person"])


OPEN = sa.text("status = 'open'")


def _exceptions() -> None:
    """Open exceptions are given their likeness when they are first listed: its rule is the code's."""
    op.add_column("exception", sa.Column("likeness", sa.Text, nullable=False, server_default=""))
    op.add_column("exception", sa.Column("respond_by", sa.Double))
    op.add_column("exception", sa.Column("step", sa.Integer, nullable=False, server_default="0"))
    op.add_column("exception", sa.Column("acknowledged_at", sa.Double))
    op.add_column("exception", sa.Column("acknowledged_by", sa.Text))
    alike = ["likeness", "owner", "opened_at", "id"]
    op.create_index("exception_alike", "exception", alike, sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index("exception_respond", "exception", ["respond_by"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "exception_fix",
        sa.Column("id", ID, primary_key=True),
        sa.Column("likeness", sa.Text, nullable=False),
        sa.Column("row", sa.JSON, nullable=False),
        sa.Column("change", ID, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("done_at", sa.Double),
    )
    op.create_table(
        "notice",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("likeness", sa.Text, primary_key=True),
        sa.Column("receiver", sa.Text, primary_key=True),
        sa.Column("told", ID, nullable=False),
        sa.Column("due_at", sa.Double),
        sa.Column("told_at", sa.Double),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("words", sa.JSON, nullable=False),
    )
    op.create_table(
        "notice_sent",
        sa.Column("id", ID, primary_key=True),
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("notice_sent_at", "notice_sent", ["receiver", "at"])


def _no_exceptions() -> None:
    for table in ("notice_sent", "notice", "exception_fix"):
        op.drop_table(table)
    for index in ("exception_respond", "exception_alike"):
        op.drop_index(index, "exception")
    for column in ("acknowledged_by", "acknowledged_at", "step", "respond_by", "likeness"):
        op.drop_column("exception", column)


# --- what people look for, and what they have stopped

INDEXES = (
    ("event_type", "event"),
    ("delivery_log_ended", "delivery_log"),
    ("link_id", "link"),
    ("receipt_webhook", "receipt"),
)
WEBHOOK = sa.text("origin = 'webhook'")
# what is known by now is found too: the keys of all events, and the id in the name of what each is about
FOUND = {
    "postgresql": """
        WITH kept AS (SELECT id, subject, recorded_at FROM event WHERE subject LIKE '%:%:%'),
        keys AS (
            SELECT k.subject, r.value, r.kind, k.recorded_at FROM kept k JOIN event_ref r ON r.event_id = k.id
            UNION ALL
            SELECT subject, substr(subject, 3 + length(split_part(subject, ':', 1) || split_part(subject, ':', 2))),
                'id', recorded_at FROM kept
        )
        INSERT INTO search_key (thing, value, subject, kind, at)
        SELECT split_part(subject, ':', 2), lower(value), subject, kind, recorded_at FROM keys
        ORDER BY CASE kind WHEN 'order' THEN 0 WHEN 'id' THEN 2 ELSE 1 END, recorded_at
        ON CONFLICT DO NOTHING""",
    "sqlite": """
        WITH kept AS (
            SELECT id, subject, recorded_at, substr(subject, instr(subject, ':') + 1) AS tail FROM event
            WHERE subject LIKE '%:%:%'
        ),
        keys AS (
            SELECT k.subject, k.tail, r.value, r.kind, k.recorded_at FROM kept k JOIN event_ref r ON r.event_id = k.id
            UNION ALL
            SELECT subject, tail, substr(tail, instr(tail, ':') + 1), 'id', recorded_at FROM kept
        )
        INSERT OR IGNORE INTO search_key (thing, value, subject, kind, at)
        SELECT substr(tail, 1, instr(tail, ':') - 1), lower(value), subject, kind, recorded_at FROM keys
        ORDER BY CASE kind WHEN 'order' THEN 0 WHEN 'id' THEN 2 ELSE 1 END, recorded_at""",
}


def _looking() -> None:
    op.create_table(
        "search_key",
        sa.Column("thing", sa.Text, primary_key=True),
        sa.Column("value", sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql"), primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "paused",
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "credential",
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
    )
    op.create_index("event_type", "event", ["type", "recorded_at", "source"])
    op.create_index("delivery_log_ended", "delivery_log", ["ended_at"])
    op.create_index("link_id", "link", ["object_id"])
    op.create_index(
        "receipt_webhook", "receipt", ["system", "received_at"], sqlite_where=WEBHOOK, postgresql_where=WEBHOOK
    )
    op.execute(FOUND[op.get_bind().dialect.name])


def _trials() -> None:
    op.create_table(
        "trial",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("number", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("look_at", sa.Double),
        sa.Column("charge", sa.JSON),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
    )
    waits = sa.text("look_at IS NOT NULL")
    op.create_index("trial_look", "trial", ["look_at"], sqlite_where=waits, postgresql_where=waits)


# --- what tools for reports read (docs/how-to/reports.md): times in UTC, on SQLite as ISO 8601 text; no personal data

MOMENT = {"postgresql": "to_timestamp({})", "sqlite": "strftime('%Y-%m-%dT%H:%M:%fZ', {}, 'unixepoch')"}
REPORTS = {
    "report_orders": """
        SELECT o.subject AS order_id, o.channel, at(o.placed) AS placed_at, at(o.accepted) AS accepted_at,
            o.accepted - o.placed AS seconds_to_accept, at(o.dispatched) AS dispatched_at,
            at(o.invoiced) AS invoiced_at, at(o.cancelled) AS cancelled_at, at(o.refunded) AS refunded_at
        FROM (
            SELECT subject, min(CASE type WHEN 'order.placed' THEN source END) AS channel,
                min(CASE type WHEN 'order.placed' THEN recorded_at END) AS placed,
                min(CASE type WHEN 'order.accepted' THEN recorded_at END) AS accepted,
                min(CASE type WHEN 'shipment.dispatched' THEN recorded_at END) AS dispatched,
                min(CASE type WHEN 'order.invoiced' THEN recorded_at END) AS invoiced,
                min(CASE type WHEN 'order.cancelled' THEN recorded_at END) AS cancelled,
                min(CASE type WHEN 'order.refunded' THEN recorded_at END) AS refunded
            FROM event
            WHERE type IN ('order.placed', 'order.accepted', 'shipment.dispatched', 'order.invoiced', 'order.cancelled',
                'order.refunded')
            GROUP BY subject
        ) o WHERE o.placed IS NOT NULL""",
    "report_promises": """
        SELECT 'flow' AS kind, l.system || '.' || l.operation AS promise, l.subject, at(l.created_at) AS began_at,
            at(l.promise_by) AS due_at, at(l.ended_at) AS ended_at, l.ended_at - l.created_at AS seconds,
            CASE WHEN l.ended_at <= l.promise_by THEN 'kept' ELSE 'late' END AS outcome
        FROM delivery_log l WHERE l.promise_by IS NOT NULL AND l.outcome = 'done'
        UNION ALL
        SELECT 'process', p.name, p.subject, at(p.began_at), at(p.due_at), at(p.ended_at), p.took,
            CASE WHEN p.ended_at IS NOT NULL THEN p.ended_as WHEN p.missed_at IS NOT NULL THEN 'missed' ELSE 'open' END
        FROM promise p""",
    "report_exceptions": """
        SELECT x.id AS exception_id, x.status, x.system, x.operation, x.reason, x.outcome, x.owner, x.subject,
            at(x.opened_at) AS opened_at, at(x.closed_at) AS closed_at, x.closed_at - x.opened_at AS seconds_open
        FROM exception x""",
}


def _reported() -> None:
    moment = MOMENT[op.get_bind().dialect.name]
    for name, query in REPORTS.items():
        # `at(...)` stands for a moment in the database's own words
        text = re.sub(r"\bat\(([\w.]+)\)", lambda found: moment.format(found[1]), query)
        op.execute(f"CREATE VIEW {name} AS {text}")
