"""Sparse matrices with plain types: shapes, dense copies, rows of a history, and arrays for a file."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from vouchrec.retrieval.scorers.files import Tensors

__all__ = ["csr_tensors", "sizes", "sparse_row", "tensors_csr", "to_dense"]


def sizes(x: sp.csr_matrix) -> tuple[int, int]:
    """Return the numbers of rows and columns."""
    return cast("tuple[int, int]", x.shape)


def to_dense(x: object) -> npt.NDArray[np.float32]:
    """Return a sparse matrix, or a product of sparse ones, as a float32 array of two dimensions."""
    return np.asarray(cast("sp.csr_matrix", x).toarray(), np.float32)


def csr_tensors(name: str, matrix: sp.csr_matrix) -> Tensors:
    """Return a sparse matrix as three arrays, with sorted indices."""
    matrix.sort_indices()
    return {
        f"{name}.data": np.asarray(matrix.data, np.float32),
        f"{name}.indices": np.asarray(matrix.indices, np.int32),
        f"{name}.indptr": np.asarray(matrix.indptr, np.int64),
    }


def tensors_csr(name: str, tensors: Tensors, width: int) -> sp.csr_matrix:
    """Return the sparse matrix of three arrays.

    Raises:
        KeyError: An array is absent.
        ValueError: The arrays are no matrix of this width.
    """
    data, indices, indptr = (tensors[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
    matrix = sp.csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, width), dtype=np.float32)
    matrix.check_format(full_check=True)
    return matrix


def sparse_row(columns: npt.NDArray[np.int64], weights: npt.NDArray[np.float32], width: int) -> sp.csr_matrix:
    """Return a history as a (1, width) sparse row."""
    return sp.csr_matrix((weights, columns, np.asarray([0, len(columns)])), shape=(1, width), dtype=np.float32)
