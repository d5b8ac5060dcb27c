# SPDX-License-Identifier: Apache-2.0
"""Every metric against its definition, and the vectors that it refuses."""

import math

import numpy as np
import pytest
from lynse import errors

DIM = 12


def shares(x):
    return x / x.sum()


def bits(a, b):
    return a > 0.5, b > 0.5


def ratio(some, of):
    return some.sum() / of.sum() if of.sum() else 0.0


def dice(a, b):
    a, b = bits(a, b)
    return (a ^ b).sum() / (a.sum() + b.sum()) if a.any() or b.any() else 0.0


def haversine(a, b):
    (lon_a, lat_a), (lon_b, lat_b) = np.radians(a), np.radians(b)
    north, east = math.sin((lat_a - lat_b) / 2), math.sin((lon_a - lon_b) / 2)
    square = north**2 + math.cos(lat_a) * math.cos(lat_b) * east**2
    return 2 * 6371008.8 * math.asin(math.sqrt(square))


def jensen_shannon(a, b):
    p, q = shares(a), shares(b)
    both = (p + q) / 2
    sums = (sum(x * math.log(x / m) for x, m in zip(s, both) if x > 0) for s in (p, q))
    return math.sqrt(sum(sums) / 2)


DEFINITIONS = {
    "FLAT-L1": ("L1", lambda a, b: abs(a - b).sum()),
    "FLAT-LINF": ("Chebyshev", lambda a, b: abs(a - b).max()),
    "FLAT-CANBERRA": ("Canberra", lambda a, b: (abs(a - b) / (abs(a) + abs(b))).sum()),
    "FLAT-BRAY-CURTIS": ("Bray-Curtis", lambda a, b: abs(a - b).sum() / abs(a + b).sum()),
    "FLAT-HAMMING": ("Hamming", lambda a, b: np.logical_xor(*bits(a, b)).sum()),
    "FLAT-JACCARD-BINARY": (
        "Jaccard",
        lambda a, b: ratio(np.logical_xor(*bits(a, b)), np.logical_or(*bits(a, b))),
    ),
    "flat-sorensen": ("Dice", dice),
    "FLAT-GEO": ("Haversine", haversine),
    "FLAT-PEARSON": ("Correlation", lambda a, b: 1 - np.corrcoef(a, b)[0, 1]),
    "FLAT-HELLINGER": (
        "Hellinger",
        lambda a, b: math.sqrt(((np.sqrt(shares(a)) - np.sqrt(shares(b))) ** 2).sum() / 2),
    ),
    "FLAT-WASSERSTEIN-1D": (
        "Wasserstein-1D",
        lambda a, b: abs(np.cumsum(shares(a)) - np.cumsum(shares(b))).sum(),
    ),
    "FLAT-JS": ("Jensen-Shannon", jensen_shannon),
}


@pytest.mark.parametrize("mode", DEFINITIONS)
def test_a_search_is_by_the_definition(database, random, mode):
    name, distance = DEFINITIONS[mode]
    dim = 2 if name == "Haversine" else DIM
    vectors = (random.random((300, dim)) * (80 if dim == 2 else 2)).astype(np.float32)
    query = vectors[7] * np.float32(0.9)
    docs = database.require_collection("measured", dim=dim, default_index=mode)
    docs.add(ids=list(range(300)), vectors=vectors)
    right = [distance(query.astype(np.float64), v.astype(np.float64)) for v in vectors]
    order = sorted(range(300), key=lambda i: (np.float32(right[i]), i))[:20]
    found = docs.search(query, k=20)
    np.testing.assert_allclose(found.distances, [right[i] for i in order], rtol=1e-5, atol=2e-6)
    if name not in ("Hamming", "Jaccard", "Dice"):  # whose ties are many
        assert found.ids[:5].tolist() == order[:5]
    assert found.distance_metric == name
    assert found.index_type == "Flat"
    assert docs.index_mode.upper().startswith("FLAT-")


def test_what_a_metric_cannot_measure_is_refused(database):
    docs = database.require_collection("docs", dim=3)
    docs.add(ids=["a", "b"], vectors=[[1, 2, 3], [1, -2, 3]])
    with pytest.raises(errors.Invalid, match=r"id 'b'.*component 1.*-2; wasserstein takes"):
        docs.build_index("FLAT-EMD")
    with pytest.raises(errors.Dimension, match="requires dimension 2"):
        docs.build_index("FLAT-HAVERSINE")
    docs.delete(["b"])
    docs.build_index("FLAT-EMD")
    with pytest.raises(errors.Invalid, match=r"row 1.*sum of 0"):
        docs.add(ids=["c", "d"], vectors=[[1, 2, 3], [0, 0, 0]])
    with pytest.raises(errors.Invalid, match="component 2 of query 0"):
        docs.search([1, 2, -3])
    assert docs.search([2, 4, 6], k=5).ids.tolist() == ["a"]


def test_places_are_within_the_globe(database):
    with pytest.raises(errors.Dimension, match="requires dimension 2"):
        database.require_collection("cube", dim=3, default_index="FLAT-HAVERSINE")
    cities = database.require_collection("cities", dim=2, default_index="FLAT-HAVERSINE")
    cities.add(ids=["Shanghai", "Beijing"], vectors=[[121.4737, 31.2304], [116.4074, 39.9042]])
    found = cities.search([121.4737, 31.2304])
    assert found.ids.tolist() == ["Shanghai", "Beijing"]
    assert found.distances[0] == 0
    assert abs(found.distances[1] - 1_067_000) < 10_000
    with pytest.raises(errors.Invalid, match="row 0 is 181; haversine takes a longitude"):
        cities.add(ids="nowhere", vectors=[181, 0])
