"""Every error that Vouch raises on purpose, each with the next step.

::

    VouchError
    ├── InputError            what the user gave is wrong (exit code 2, HTTP 4xx)
    │   ├── DataFileError     a row or field of a data file; carries file, row and field
    │   ├── ConfigError       a domain file, a setting, a path, a flag
    │   └── RequestError      a message or an API request
    ├── WorkspaceError        a workspace that is absent, damaged or made by another version
    ├── NotFittedError        a model is used before it was fitted or loaded
    ├── LeakError             an evaluation in which what is to be found could be known beforehand
    └── ModelError            a language model, embedder or adapter that can't be loaded or reached
"""

from __future__ import annotations

from pathlib import Path


class VouchError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        message: What is wrong.
        hint: One sentence that says what to do next; empty when the message says it all.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        """Return the message, followed by the hint."""
        return f"{self.message} {self.hint}" if self.hint else self.message


class InputError(VouchError):
    """What the user gave can't be used."""


class DataFileError(InputError):
    """A data file has a wrong row or field.

    Attributes:
        path: The file.
        row: 1-based row as an editor shows it (the header of a CSV file is row 1); None for the file as a whole.
        field: Column or key; None for the row as a whole.
    """

    def __init__(
        self, path: Path | str, problem: str, *, row: int | None = None, field: str | None = None, hint: str = ""
    ) -> None:
        self.path, self.row, self.field = Path(path), row, field
        where = f"{path}"
        if row is not None:
            where += f", row {row}"
        if field is not None:
            where += f", field '{field}'"
        super().__init__(f"{where}: {problem}", hint=hint)


class ConfigError(InputError):
    """A setting, a flag or a domain file is wrong."""


class RequestError(InputError):
    """A message or an API request can't be served as it stands."""


class WorkspaceError(VouchError):
    """A workspace is absent, damaged or made by another version."""


class NotFittedError(VouchError):
    """A model is used before it was fitted or loaded."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not fitted.", hint="Call fit() or load() first.")


class LeakError(VouchError):
    """An evaluation in which what is to be found could be known beforehand: its figures would mean nothing."""


class ModelError(VouchError):
    """A language model, an embedder or an adapter can't be loaded or reached."""
