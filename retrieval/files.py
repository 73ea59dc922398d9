"""Rows of CSV, JSONL and Parquet files, with row numbers for error messages."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias, cast

from vouchrec.retrieval.errors import DataFileError

FileRow: TypeAlias = tuple[int, Mapping[str, object]]
FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_LONGEST_FIELD = 1_000_000


def read_rows(path: Path) -> Iterator[FileRow]:
    """Yield (row number, row) of a data file; the number is the line an editor shows, or 1-based for Parquet.

    Raises:
        DataFileError: The file is absent, of another format, not UTF-8, malformed, or has no rows.
    """
    if not path.is_file():
        raise DataFileError(path, "no such file")
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise DataFileError(path, f"format '{suffix}' is not read", hint=f"Use one of {', '.join(FORMATS)}.")
    reader = {".parquet": _parquet, ".jsonl": _jsonl, ".ndjson": _jsonl}.get(suffix, _csv)
    empty = True
    try:
        for row in reader(path):
            empty = False
            yield row
    except UnicodeDecodeError as error:
        raise DataFileError(
            path, f"not UTF-8 text (byte {error.start})", hint="Save it as UTF-8, for instance with iconv -t utf-8."
        ) from error
    if empty:
        raise DataFileError(path, "no rows")


def _csv(path: Path) -> Iterator[FileRow]:
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
        try:
            header = reader.fieldnames or []
            if len(set(header)) != len(header):
                twice = next(h for h in header if header.count(h) > 1)
                raise DataFileError(path, "column stands twice in the header", row=1, field=twice)
            for row in reader:
                if None in row or any(v is None for v in row.values()):
                    raise DataFileError(path, f"expected {len(header)} columns as in the header", row=reader.line_num)
                yield reader.line_num, cast("Mapping[str, object]", row)
        except csv.Error as error:
            raise DataFileError(path, f"malformed CSV: {error}", row=reader.line_num) from error


def _jsonl(path: Path) -> Iterator[FileRow]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                value: object = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise DataFileError(path, f"not JSON: {error}", row=number) from error
            if not isinstance(value, dict):
                raise DataFileError(path, "expected a JSON object", row=number)
            yield number, cast("Mapping[str, object]", value)


def _parquet(path: Path) -> Iterator[FileRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=10_000):
                for row in batch.to_pylist():
                    number += 1
                    yield number, cast("Mapping[str, object]", row)
    except (pa.ArrowException, OSError) as error:
        raise DataFileError(path, f"not a readable Parquet file: {error}") from error
