# SPDX-License-Identifier: Apache-2.0
"""What is said of indexes: their modes and parameters, and how hard a search looks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import numpy as np

from ._marshal import c_text, check, new_error
from ._native import ffi, lib
from ._records import check_flag, check_name
from .errors import Cancelled, Invalid, Limit
from .types import METRICS, CollectionInfo, Effort

MAX_EFFORT = 1 << 20
MAX_OVERSAMPLE = 1000
LARGEST_EPS = 3e38  # of a float32


def metric_of(index_mode: object, name: str) -> str | None:
    """The metric that a mode compares by; None of AUTO, which keeps the collection's."""
    text = c_text(check_name(index_mode, name), name)
    metric = ffi.new("uint32_t *")
    error = new_error()
    check(lib.lynse_index_metric(text, metric, error), error)
    return METRICS[metric[0] - 1] if metric[0] else None


def check_params(given: Mapping[str, object]) -> dict[str, float]:
    """The parameters of an index; None: as if it were not there."""
    params = {}
    for name, value in given.items():
        if value is None:
            continue
        if isinstance(value, (bool, np.bool_)) or not isinstance(
            value, (int, float, np.integer, np.floating)
        ):
            raise TypeError(f"{name} must be a number, not {type(value).__name__}")
        try:
            params[name] = float(value)
        except OverflowError:
            raise Limit(f"{name} is too large for a float") from None
    return params


def await_index(ask: Callable[[], CollectionInfo], longest_pause_s: float) -> None:
    """Until the segments that are there now have the index that was asked for.

    A build may take minutes: longer than a request may, and longer than Ctrl-C should wait."""
    asked = info = ask()
    pause = 0.001
    while info.indexed_segment_count < min(asked.segment_count, info.segment_count):
        if info.index_mode != asked.index_mode and not info.index_is_auto:
            raise Cancelled("another index was asked for, or none any more")
        if info.index_failure:
            raise info.index_failure
        time.sleep(pause)
        pause = min(2 * pause, longest_pause_s)
        info = ask()


def _check_effort(value: object, name: str) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    if value < 0:
        raise Invalid(f"{name} must be 0 or more, not {value}")
    if value > MAX_EFFORT:
        raise Limit(f"{name} {value} is over the limit of {MAX_EFFORT}")
    return int(value)


def effort_of(
    nprobe: object,
    ef: object,
    beam: object,
    oversample: object,
    exact: object,
    approx: object = False,
    eps: object = 0,
) -> Effort:
    """nprobe, ef and beam are one option; None and 0: as the index was built to."""
    is_plain = oversample is None and exact is False and approx is False
    if is_plain and nprobe is None and beam is None and type(eps) is float and 0 <= eps <= 1:
        if ef is None:
            return Effort()
        if type(ef) is int and 0 <= ef <= MAX_EFFORT:
            return Effort(ef)
    wanted, from_name = 0, ""
    for name, given in (("nprobe", nprobe), ("ef", ef), ("beam", beam)):
        value = 0 if given is None else _check_effort(given, name)
        if value and wanted and value != wanted:
            raise Invalid(f"{name}={value}, but {from_name}={wanted}; they are one option")
        if value:
            wanted, from_name = value, name
    times = 0.0
    if oversample is not None:
        if isinstance(oversample, (bool, np.bool_)) or not isinstance(
            oversample, (int, float, np.integer, np.floating)
        ):
            raise TypeError(f"oversample must be a number, not {type(oversample).__name__}")
        if not 1 <= oversample <= MAX_OVERSAMPLE:
            raise Limit(f"oversample must be 1..{MAX_OVERSAMPLE}, not {oversample}")
        times = float(oversample)
    slack = _check_eps(eps)
    return Effort(
        wanted,
        times,
        check_flag(exact, "exact"),
        slack if check_flag(approx, "approx") else 0.0,
    )


def _check_eps(eps: object) -> float:
    if isinstance(eps, (bool, np.bool_)) or not isinstance(
        eps, (int, float, np.integer, np.floating)
    ):
        raise TypeError(f"eps must be a number, not {type(eps).__name__}")
    if not (math.isfinite(eps) and eps >= 0):
        raise Invalid(f"eps must be finite and 0 or more, not {eps}")
    return min(float(eps), LARGEST_EPS)
