# SPDX-License-Identifier: Apache-2.0
"""Wrong types and ranges for every argument of every method, made from api_info."""

import json
import urllib.request

import pytest
from conftest import BUILD, OPTIONS, RpcError
from served import Served

# Of each type what it does not take.
WRONG = {
    "name": [5, True, [], {}, b"x", "", "x" * 129, "a\0b"],
    "text": [5, True, ["x"], {}, b"x", "a\0b"],
    "flag": [5, "yes", [], {}, b"\1"],
    "integer": ["many", True, [1], {}, 1.5, float("nan"), float("inf")],
    "number": ["much", True, [1], {}, float("nan"), float("inf")],
    "id": [-1, 1.5, True, [1], {}, "", "x" * 256],
    "ids": [-1, 1.5, True, {}, [True], [None], [[1]], [-1], [""], b"1234567"],
    "vector": [5, "x", True, {}, [], ["x"], [None], [[1]], b"123"],
    "vectors": [5, "x", True, {}, ["x"], [[]], [["x"]], [[1], [1, 2]], b"123", [b"123"],
                {"shape": [1, 2], "data": b"1"}, {"shape": [-1, 2], "data": b""}],
    "documents": [5, "x", True, {}, [5], ["x"], [[]]],
    "texts": [5, "x", True, {}, [5], [["x"]], [None]],
    "document": [5, "x", True, []],
    "value": [5, "x", True, []],
    "request_id": [5, True, [], {}, "", "12", "g" * 32, "0" * 32, "1" * 33, b"", b"1" * 15,
                   b"\0" * 16, b"1" * 17],
    "body": [5, "x", True, [], {}],
}  # fmt: skip
REFUSALS = {"INVALID", "LIMIT", "DIMENSION"}


def read_functions():
    """From a server of its own, because parameters are made before there are fixtures."""
    with Served(BUILD, *OPTIONS) as served:
        answer = json.load(urllib.request.urlopen(f"{served.url}/api_info", b"{}"))
    return answer["params"]["functions"]


FUNCTIONS = read_functions()
ARGUMENTS = [
    pytest.param(function, argument, id=f"{function['name']}-{argument['name']}")
    for function in FUNCTIONS
    for argument in function["parameters"]
]


def good_value(argument):
    """One that gets past the check of arguments."""
    if "choices" in argument:
        return argument["choices"][0]
    low = argument.get("low")
    return {
        "name": "tests", "text": "x", "flag": False, "integer": low or 1, "number": low or 1.0,
        "id": 1, "ids": [1], "vector": [1.0], "vectors": [[1.0]], "documents": [{}],
        "texts": ["x"], "document": {}, "value": {}, "body": b"1234",
        "request_id": "1" * 32,
    }[argument["type"]]  # fmt: skip


def wrong_values(argument):
    values = list(WRONG[argument["type"]])
    is_number = argument["type"] in ("integer", "number")
    if "low" in argument:
        values.append(argument["low"] - 1 if is_number else "")
        if not is_number and argument["low"] < 1:
            values.pop()
    if "high" in argument:
        # Above 2^53 one more is the same number.
        high = argument["high"]
        values.append(max(high + 1, 2 * high) if is_number else "x" * int(high + 1))
    if "choices" in argument:
        values.append("none of them")
    return values


def required_params(function):
    return {p["name"]: good_value(p) for p in function["parameters"] if p["required"]}


@pytest.mark.parametrize("function,argument", ARGUMENTS)
def test_wrong_values_are_refused_by_name(rpc, function, argument):
    name = argument["name"]
    for value in wrong_values(argument):
        with pytest.raises(RpcError) as refused:
            rpc.call(function["name"], {**required_params(function), name: value})
        assert refused.value.name in REFUSALS, (value, refused.value.text)
        assert name in refused.value.text, (value, refused.value.text)
    assert rpc("health") == {"status": "ok"}


@pytest.mark.parametrize("function,argument", ARGUMENTS)
def test_wrong_values_are_400_over_http(web, function, argument):
    """Of those that JSON can say."""
    routes = [route for route in function["routes"] if route.startswith("POST")]
    if not routes or any("body" in p["type"] for p in function["parameters"]):
        return
    path = routes[0].partition(" ")[2]
    for value in wrong_values(argument):
        if "nan" in repr(value) or "inf" in repr(value) or "b'" in repr(value):
            continue
        body = {**required_params(function), argument["name"]: value}
        answer = web.post(path, **body)
        assert web.status == 400, (value, answer)
        assert answer["code"] == "invalid_argument"
        assert argument["name"] in answer["error"], (value, answer)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f["name"])
def test_a_missing_argument_is_named(rpc, function):
    for name in required_params(function):
        params = required_params(function)
        del params[name]
        with pytest.raises(RpcError, match=f"^{name}: missing$"):
            rpc.call(function["name"], params)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f["name"])
def test_unknown_arguments_and_bad_params(rpc, function):
    name = function["name"]
    with pytest.raises(RpcError, match="there is no argument 'no_such_argument'"):
        rpc.call(name, {"no_such_argument": 1})
    for params in (5, "x", [None] * 40):
        with pytest.raises(RpcError) as refused:
            rpc.call(name, params)
        assert refused.value.name in ("INVALID", "PARSE"), params
    assert rpc("health") == {"status": "ok"}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f["name"])
def test_by_position_as_by_name(rpc, function):
    """Null for each argument is as good as nothing: the first that is required is missing."""
    required = list(required_params(function))
    if not required:
        return
    with pytest.raises(RpcError, match=f"^{required[0]}: missing$"):
        rpc.call(function["name"], [None] * len(function["parameters"]))


def test_a_mistyped_argument_is_guessed(rpc):
    with pytest.raises(RpcError, match="did you mean 'vector'"):
        rpc.call("search", {"collection_name": "docs", "vectr": [1]})


def test_a_mistyped_method_is_guessed(rpc):
    with pytest.raises(RpcError, match="did you mean 'search'") as refused:
        rpc.call("serch", {})
    assert refused.value.name == "NOT_FOUND"
