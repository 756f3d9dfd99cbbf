"""Rows of a view as a file: CSV that is safe to open in a spreadsheet, Parquet whose columns have their types.

A table is a dataclass: its fields are the columns, in their order, and their types those of the columns. A moment is
UTC to the microsecond, an amount exact to the twelve digits that the retail language knows; nothing is rounded.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

FORMATS: Mapping[str, str] = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
"""What a table can be had as, and the media type of that."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula, or lets one begin after."""


def written(rows: Sequence[Any], kind: type[Any], format_: str) -> bytes:
    """Rows of the dataclass `kind` as a file of one of the FORMATS. Takes its time with many: not on an event loop."""
    return {"csv": _csv, "parquet": _parquet}[format_](rows, kind)


# --- CSV ------------------------------------------------------------------------------------------------------------


def _csv(rows: Sequence[Any], kind: type[Any]) -> bytes:
    names = [field.name for field in dataclasses.fields(kind)]
    out = io.StringIO()
    writer = csv.writer(out)  # as RFC 4180 has it
    writer.writerow(names)
    writer.writerows([cell(getattr(row, name)) for name in names] for row in rows)
    return out.getvalue().encode()


def cell(value: Any) -> Any:
    """A value as a spreadsheet shows and never runs it: a text that could be a formula gets an apostrophe in front."""
    if isinstance(value, str):
        return f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else value


# --- Parquet --------------------------------------------------------------------------------------------------------


def _parquet(rows: Sequence[Any], kind: type[Any]) -> bytes:
    import pyarrow as pa  # 0.15 s and 40 MB: for who asks for such a file
    import pyarrow.parquet

    types = {
        **{str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64(), date: pa.date32()},
        **{datetime: pa.timestamp("us", tz="UTC"), Decimal: pa.decimal128(38, 12)},
    }
    schema = pa.schema([pa.field(name, types[type_], nullable) for name, type_, nullable in columns(kind)])
    values = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in schema]
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_arrays(values, schema=schema), out)
    return out.getvalue()


def columns(kind: type[Any]) -> Iterator[tuple[str, type[Any], bool]]:
    """(name, type, whether it may be empty) of each column of a dataclass."""
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        parts = get_args(hint) if get_origin(hint) in (UnionType, Union) else (hint,)
        yield field.name, next(part for part in parts if part is not NoneType), NoneType in parts
