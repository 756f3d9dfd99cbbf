"""A table as a file: what is read back is what was there, typed; no cell of a CSV is a formula."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from counterfoil.hub.views import reports
from counterfoil.hub.views.exporting import cell, columns, written

HERE = timezone(timedelta(hours=5, minutes=45))
TEXT = st.text() | st.text(st.sampled_from("=+-@\t\r\n ,\"';a"))
MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, HERE]))
AMOUNTS = st.decimals(-(10**18), 10**18, allow_nan=False, allow_infinity=False, places=12)


@dataclass(frozen=True)
class Row:
    """One of each kind of column, and each of them empty."""

    text: str
    is_so: bool
    count: int
    seconds: float
    day: date
    at: datetime
    amount: Decimal
    no_text: str | None
    no_at: datetime | None
    no_amount: Decimal | None


ROWS = st.builds(
    *(Row, TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.dates(), MOMENTS),
    *(AMOUNTS, st.none() | TEXT, st.none() | MOMENTS, st.none() | AMOUNTS),
)


def table(file: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(file))


@settings(max_examples=50)
@given(rows=st.lists(ROWS, max_size=5))
def test_what_is_read_back_from_parquet_is_what_was_there(rows: list[Row]) -> None:
    found = table(written(rows, Row, "parquet"))
    assert [Row(**row) for row in found.to_pylist()] == rows
    assert [str(field.type) for field in found.schema] == [
        *("string", "bool", "int64", "double", "date32[day]", "timestamp[us, tz=UTC]", "decimal128(38, 12)"),
        *("string", "timestamp[us, tz=UTC]", "decimal128(38, 12)"),
    ]
    assert [field.name for field in found.schema if field.nullable] == ["no_text", "no_at", "no_amount"]


@settings(max_examples=50)
@given(rows=st.lists(ROWS, max_size=5))
@example(
    [Row("=1+1", True, -1, 0.1, date(2026, 7, 14), datetime(2026, 7, 14, tzinfo=HERE), Decimal("0E-12"), *[None] * 3)]
)
def test_a_csv_has_a_line_for_each_row_and_no_cell_that_runs(rows: list[Row]) -> None:
    head, *read = csv.reader(io.StringIO(written(rows, Row, "csv").decode(), newline=""))
    assert head == [name for name, _, _ in columns(Row)]
    for row, cells in zip(rows, read, strict=True):
        assert cells == ["" if value is None else str(cell(value)) for value in astuple(row)]
        assert datetime.fromisoformat(cells[5]) == row.at
        assert Decimal(cells[6]) == row.amount
        assert "E" not in cells[6]


@given(text=TEXT, number=st.integers() | st.floats(allow_nan=False))
def test_no_cell_is_a_formula_and_no_text_is_lost(text: str, number: float) -> None:
    shown = cell(text)
    assert not shown.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert shown.removeprefix("'") == text.removeprefix("'")
    assert cell(number) == number


@pytest.mark.parametrize("name", reports.TABLES)
def test_each_table_of_a_report_has_its_types_even_when_it_is_empty(name: str) -> None:
    kind = reports.TABLES[name]
    found = table(written([], kind, "parquet"))
    assert found.schema.names == [name for name, _, _ in columns(kind)]
    assert {str(field.type) for field in found.schema if field.name == "day"} <= {"date32[day]"}


def test_who_exports_nothing_does_not_load_what_writes_parquet() -> None:
    looked = "import sys, counterfoil.doors.cli, counterfoil.doors.admin.app; print('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", looked], capture_output=True, text=True).stdout == "False\n"
