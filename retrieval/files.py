"""Rows of CSV, JSONL and Parquet files, with row numbers for error messages, and the clean text of a cell."""

from __future__ import annotations

import csv
import json
import math
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias, cast

from vouchrec.retrieval.errors import DataFileError

FileRow: TypeAlias = tuple[int, Mapping[str, object]]
FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_LONGEST_FIELD = 1_000_000


def read_rows(path: Path) -> Iterator[FileRow]:
    """Yield (row number, row) of a data file.

    The number is the line on which the row begins, as an editor shows it (the header of a CSV file is row 1), or for
    Parquet the 1-based number of the row.

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
        raise _not_utf8(path) from error
    except OSError as error:
        raise DataFileError(path, f"can't be read: {error.strerror or error}") from error
    if empty:
        raise DataFileError(path, "no rows")


def clean_text(value: object) -> str:
    """Return a cell as text in composed form (NFC), without control characters, trimmed; empty when it is missing.

    A whole number in a float cell loses its point: columns of numbers with gaps are often stored as floats.

    Raises:
        ValueError: The cell holds a list, a mapping or bytes.
    """
    if is_missing(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, Mapping | list | tuple | set | bytes):
        raise ValueError(f"expected text, found {value!r:.60}")
    text = str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
    return unicodedata.normalize("NFC", text).strip()


def is_missing(value: object) -> bool:
    """Return whether a cell has no value: null, not a number, or blank text."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def _csv(path: Path) -> Iterator[FileRow]:
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as file:
        start = 1
        reader = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
        try:
            header = [name.strip() for name in next(filter(None, reader), [])]
            if len(set(header)) != len(header):
                twice = next(h for h in header if header.count(h) > 1)
                raise DataFileError(path, "column stands twice in the header", row=1, field=twice)
            start = reader.line_num + 1
            for cells in reader:
                if cells and len(cells) != len(header):
                    problem = f"{len(cells)} columns, expected {len(header)} as in the header"
                    raise DataFileError(path, problem, row=start)
                if cells:
                    yield start, dict(zip(header, cells, strict=True))
                start = reader.line_num + 1
        except csv.Error as error:
            raise DataFileError(path, f"malformed CSV: {error}", row=start) from error


def _jsonl(path: Path) -> Iterator[FileRow]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                value: object = json.loads(line)
            except (ValueError, RecursionError) as error:
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
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataFileError(path, f"not a readable Parquet file: {error}") from error


def _not_utf8(path: Path) -> DataFileError:
    """Find the first line that is not UTF-8: the reader's own error counts bytes from somewhere inside the file."""
    hint = "Save it as UTF-8, for instance with iconv -t utf-8."
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                problem = f"not UTF-8 text (byte {error.start + 1} of the line)"
                return DataFileError(path, problem, row=number, hint=hint)
    return DataFileError(path, "not UTF-8 text", hint=hint)
