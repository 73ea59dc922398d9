"""Metrics of predicted values: ratings, and yes or no."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["accuracy", "mae", "mse", "rmse"]


def accuracy(predicted: Sequence[object], actual: Sequence[object]) -> float:
    """Return the part of predictions that are right (liked or not, an act, a class).

    Source: Manning, Raghavan & Schütze 2008, section 8.3. Where one class is rare it says little: see `auc`.
    Range [0, 1], 1 best. No predictions: NaN.

    Raises:
        ValueError: The lengths differ.
    """
    if len(predicted) != len(actual):
        raise ValueError(f"{len(predicted)} predictions against {len(actual)} values")
    return sum(a == b for a, b in zip(predicted, actual, strict=True)) / len(actual) if len(actual) else math.nan


def mse(predicted: Sequence[float], actual: Sequence[float]) -> float:
    """Return the mean squared error of ratings: mean of (predicted - actual)^2.

    Range [0, inf), 0 best, in squared rating units. No ratings: NaN.

    Raises:
        ValueError: The lengths differ.
    """
    errors = _errors(predicted, actual)
    return float((errors**2).mean()) if len(errors) else math.nan


def rmse(predicted: Sequence[float], actual: Sequence[float]) -> float:
    """Return the root of the mean squared error, the figure of the Netflix Prize (Bennett & Lanning, 2007).

    Range [0, inf), 0 best, in rating units; never below `mae`. No ratings: NaN.

    Raises:
        ValueError: The lengths differ.
    """
    return math.sqrt(mse(predicted, actual))


def mae(predicted: Sequence[float], actual: Sequence[float]) -> float:
    """Return the mean absolute error of ratings (Herlocker et al., TOIS 2004).

    Range [0, inf), 0 best, in rating units. No ratings: NaN.

    Raises:
        ValueError: The lengths differ.
    """
    errors = _errors(predicted, actual)
    return float(np.abs(errors).mean()) if len(errors) else math.nan


def _errors(predicted: Sequence[float], actual: Sequence[float]) -> npt.NDArray[np.float64]:
    if len(predicted) != len(actual):
        raise ValueError(f"{len(predicted)} predictions against {len(actual)} ratings")
    return np.asarray(predicted, np.float64) - np.asarray(actual, np.float64)
