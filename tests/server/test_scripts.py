# SPDX-License-Identifier: Apache-2.0
"""`--scripts DIR`: rankings and methods of the operator's own; docs/OPERATIONS.md, "Scripts"."""

import json
import pathlib
import re
import socket

import pytest
from operated import PROGRAM, ROOT, run

IS_SANITIZED = "asan" in PROGRAM or "tsan" in PROGRAM

# By ip a distance is the dot product with its sign changed.
SHIFTED = """return function(hits)
   for _, hit in ipairs(hits) do hit.score = 1 - hit.score end
   return hits
end
"""

# How a method may fail; `how` says in which way.
FAILING = """local args = require "lynse.args"

local function endless() while true do end end

local ways = {
   good = function() return { word = "good" } end,
   mended = function(context)
      local ok, failure = pcall(context.engine.open_collection, "default", "nowhere")
      return { word = ok or failure.code }
   end,
   ["nil"] = function() local x; return x.y end,
   text = function() error("no such customer", 0) end,
   table = function() error {} end,
   refusal = function(context) context.engine.refuse("NOT_FOUND", "customer 7 is not there") end,
   misnamed = function(context) context.engine.refuse("NOPE", "what") end,
   answer = function() return { word = print } end,
   inside = function() local t = {}; t.t = t; return t end,
   yields = function() coroutine.yield() end,
   overflow = function() local function f() return 1 + f() end; return f() end,
   endless = endless,
   caught = function() while true do pcall(endless) end end,
   returned = function() return pcall(endless) end,
   handled = function() return xpcall(endless, endless) end,
   nested = function() local function f() pcall(f); f() end; f() end,
   coroutine = function() coroutine.wrap(endless)() end,
   compiled = function() loadstring "while true do end" () end,
   waiting = function(context) while true do context.engine.list_databases() end end,
   text_of_memory = function() return ("x"):rep(2e9) end,
   memory = function()
      local t = {}
      for i = 1, 1e9 do t[i] = ("x"):rep(1e7) .. i end
   end,
}

return {
   summary = "Fails.",
   arguments = { args.text("how", "In which way.", { required = true }) },
   run = function(context, a) return ways[a.how](context) end,
}
"""


def script(tmp_path, path, source):
    """The folder of scripts, with this one."""
    file = tmp_path / "scripts" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    return tmp_path / "scripts"


def post(server, path, **params):
    status, body = server.request("POST", path, params)
    return status, json.loads(body)


# ---- Rankings ----


def test_a_search_names_a_script_of_the_folder(serve, tmp_path):
    where = {"database_name": "d", "collection_name": "c"}
    server = serve("--scripts", script(tmp_path, "rerank/shifted.lua", SHIFTED))
    server.post("/required_collection", **where, dim=1)
    server.post("/add", **where, ids=[1, 2], vectors=[[1], [2]])
    search = {**where, "vector": [1], "k": 2}
    plain = server.post("/search", **search)["items"]["scores"]
    found = server.post("/search", **search, rerank="shifted")["items"]["scores"]
    assert found == [1 + score for score in plain]
    status, answer = post(server, "/search", **search, rerank="shift")
    assert status == 404, answer
    assert "shifted" in answer["error"]  # what there is
    assert server.stop() == 0


# ---- Methods ----


def blocks_of_operations():
    """The blocks of the section on methods: (language, text)."""
    text = (ROOT / "docs" / "OPERATIONS.md").read_text()
    section = text.partition("\n### Methods\n")[2].partition("\n#")[0]
    return re.findall(r"^```(\w+)\n(.*?)^```$", section, re.M | re.S)


def test_the_method_that_the_documents_show(serve, tmp_path):
    (_, source), (_, commands), (_, printed) = blocks_of_operations()
    file = re.match(r"-- (\S+):", source)[1]
    server = serve("--scripts", script(tmp_path, file.removeprefix("scripts/"), source))
    said = ""
    for line in commands.splitlines():
        words = re.findall(r"'([^']*)'|(\S+)", line)
        assert words[0][1] == "lynse" and words[1][1] == "call", line
        answer = server.call(*(quoted or plain for quoted, plain in words[2:]))
        assert answer.returncode == 0, (line, answer.stderr)
        said = answer.stdout
    assert json.loads(said) == json.loads(printed)


def test_a_method_is_known_wherever_methods_are(serve, tmp_path):
    server = serve("--scripts", script(tmp_path, "rpc/failing.lua", FAILING))
    assert server.post("/failing", how="good") == {"word": "good"}
    assert json.loads(server.call("failing", "how=good").stdout) == {"word": "good"}
    assert re.search(r"^failing +Fails\.$", server.call().stdout, re.M)
    functions = {f["name"]: f for f in server.post("/api_info")["functions"]}
    assert functions["failing"]["routes"] == ["POST /failing"]
    assert [p["name"] for p in functions["failing"]["parameters"]] == ["how", "timeout_ms"]
    status, document = server.request("GET", "/openapi.json")
    document = json.loads(document)
    assert status == 200 and "/failing" in document["paths"]
    assert "failing" in document["components"]["schemas"]
    metrics = server.request("GET", "/metrics")[1].decode()
    assert 'method="failing"' in metrics


def test_its_arguments_are_checked(serve, tmp_path):
    server = serve("--scripts", script(tmp_path, "rpc/failing.lua", FAILING))
    for params, said in (
        ({}, "how: missing"),
        ({"how": 5}, "how: a whole number"),
        ({"how": "good", "timeout_ms": 0}, "timeout_ms: 0"),
    ):
        status, answer = post(server, "/failing", **params)
        assert (status, answer["code"]) == (400, "invalid_argument")
        assert said in answer["error"]
    assert "did you mean 'failing'" in server.call("faling").stderr


def test_it_needs_the_key_unless_it_is_public(serve, tmp_path):
    script(tmp_path, "rpc/closed.lua", FAILING)
    folder = script(tmp_path, "rpc/open.lua", table("public = true"))
    server = serve("--scripts", folder, env={"LYNSE_API_KEY": "secret"})
    assert post(server, "/closed", how="good")[0] == 401
    assert post(server, "/open") == (200, {"status": "success", "params": None})


@pytest.mark.parametrize(
    "how,code,said",
    [
        ("nil", "HOOK", r"^rpc/failing\.lua:11: attempt to index local 'x'"),
        ("text", "HOOK", "^failing: no such customer$"),
        ("table", "HOOK", "^failing: it raised a table$"),
        ("refusal", "NOT_FOUND", "^customer 7 is not there$"),
        ("misnamed", "HOOK", r"^rpc/\w+\.lua:\d+: refuse: 'NOPE' is no name of an error"),
        ("answer", "INTERNAL", "a function"),
        ("inside", "INTERNAL", "16 deep"),
        ("yields", "HOOK", "^failing: it yields"),
        ("overflow", "HOOK", "stack overflow"),
        ("memory", "HOOK", "256 MiB"),
        ("text_of_memory", "HOOK", "256 MiB"),
    ],
)
def test_a_failure_is_an_error_of_the_call(serve, tmp_path, how, code, said):
    server = serve("--scripts", script(tmp_path, "rpc/failing.lua", FAILING), "--workers", 1)
    status, answer = post(server, "/failing", how=how)
    assert (status >= 400, answer["name"]) == (True, code), answer
    assert re.search(said, answer["error"]), answer
    assert server.post("/failing", how="good") == {"word": "good"}
    assert server.stop() == 0


@pytest.mark.parametrize("how", ["endless", "caught", "returned", "handled", "nested", "coroutine",
                                 "compiled", "waiting"])  # fmt: skip
def test_what_does_not_end_is_stopped_at_its_deadline(serve, tmp_path, how):
    server = serve("--scripts", script(tmp_path, "rpc/failing.lua", FAILING), "--workers", 1)
    status, answer = post(server, "/failing", how=how, timeout_ms=100)
    assert (status, answer["name"]) == (504, "DEADLINE"), answer
    if how in ("endless", "coroutine"):
        assert answer["error"] == "rpc/failing.lua:3: stopped at the deadline"
    assert server.post("/failing", how="good") == {"word": "good"}
    assert server.stop() == 0


def test_it_may_catch_a_failure_of_the_engine(serve, tmp_path):
    server = serve("--scripts", script(tmp_path, "rpc/failing.lua", FAILING))
    assert server.post("/failing", how="mended") == {"word": "NOT_FOUND"}


def test_what_is_for_the_server_alone_is_out_of_its_reach(serve, tmp_path):
    """Reading the arguments again would list the request twice under its id, for `cancel`."""
    script(tmp_path, "rpc/again.lua", """local args = require "lynse.args"
return {
   summary = "Says which of the functions it finds.",
   arguments = { args.request_id("request_id", "Of this call.") },
   run = function(context)
      local found = {}
      for _, name in ipairs { "arguments", "register_method", "call_guarded" } do
         found[name] = (context.native[name] or context.engine[name]) ~= nil
      end
      return found
   end,
}
""")
    server = serve("--scripts", tmp_path / "scripts")
    assert not any(post(server, "/again", request_id="ab" * 16)[1]["params"].values())


def test_a_finalizer_that_fails_spoils_no_answer(serve, tmp_path):
    """It runs when what large answers were made of is collected; that one is given already."""
    script(tmp_path, "rpc/spoil.lua", """return {
   summary = "A large text, and something that cannot be collected well.",
   run = function()
      collectgarbage "stop"
      getmetatable(newproxy(true)).__gc = function() error "finalizer" end
      return { text = ("x"):rep(17 * 2 ^ 20) }
   end,
}
""")
    server = serve("--scripts", tmp_path / "scripts", "--workers", "1")
    body = (b"POST /spoil HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
            b"Connection: close\r\n\r\n")
    with socket.create_connection(("127.0.0.1", server.port), 20) as s:
        s.sendall(body)
        answer = b""
        while chunk := s.recv(1 << 20):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200") and answer.count(b"HTTP/1.1") == 1
    assert server.wait_for("method_failed")["method"] == "spoil"
    assert post(server, "/list_databases")[0] == 200


def test_it_does_not_have_the_loop_for_longer_than_a_second(serve, tmp_path):
    server = serve("--scripts", script(tmp_path, "rpc/failing.lua", FAILING), "--workers", 1)
    status, answer = post(server, "/failing", how="endless")
    assert (status, answer["name"]) == (422, "HOOK"), answer
    assert answer["error"].startswith("rpc/failing.lua:3: stopped after 1000 ms")
    assert server.wait_for("method_failed")["text"] == answer["error"]
    assert server.stop() == 0


EACH = """local args = require "lynse.args"

return {
   summary = "The first hit of each query, and all ids.",
   arguments = args.of_collection { args.vectors("vectors", "The queries.", { required = true }) },
   run = function(context, a)
      local found = context:collection(a):search(a.vectors, { k = 2 })
      local firsts = context.array {}
      for i = 1, #a.vectors do
         local list = found:lists(i)
         firsts[i] = { id = list.ids[1], score = list.scores[1], count = list.count }
      end
      local ok = pcall(found.lists, found, #a.vectors + 1)
      return { firsts = firsts, ids = found:lists().ids, beyond = ok }
   end,
}
"""


def test_it_looks_at_what_was_found(serve, tmp_path):
    server = serve("--scripts", script(tmp_path, "rpc/each.lua", EACH))
    server.post("/required_collection", collection_name="c", dim=2)
    server.post("/add", collection_name="c", ids=["x", 7], vectors=[[1, 0], [0, 2]])
    found = server.post("/each", collection_name="c", vectors=[[1, 0], [0, 1]])
    assert found["firsts"] == [{"id": "x", "score": 1, "count": 2},
                               {"id": 7, "score": 2, "count": 2}]  # fmt: skip
    assert (found["ids"], found["beyond"]) == (["x", 7, 7, "x"], False)


def test_what_it_makes_global_is_its_own(serve, tmp_path):
    for name in ("one", "two"):
        source = f"""found = {{ global = "{name}" }}
return {{ summary = "Says what is global.", run = function() return found end }}"""
        folder = script(tmp_path, f"rpc/{name}.lua", source)
    server = serve("--scripts", folder)
    assert server.post("/one") == {"global": "one"}
    assert server.post("/two") == {"global": "two"}


@pytest.mark.skipif(IS_SANITIZED, reason="memory of a sanitized program is its own")
def test_memory_does_not_grow_with_methods_that_take_too_much(serve, tmp_path):
    server = serve("--scripts", script(tmp_path, "rpc/failing.lua", FAILING), "--workers", 1)
    for _ in range(6):
        assert post(server, "/failing", how="memory")[0] == 422
        server.post("/failing", how="good")
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    assert int(re.search(r"VmRSS:\s+(\d+)", status)[1]) < 700 << 10


# ---- At the start ----


def table(fields="public = false"):
    """A method that is right but for its fields."""
    return f'return {{ summary = "x", {fields}, run = function() end }}'


BROKEN = {
    # path, source, what is said after "scripts: " or the folder's name
    "syntax": ("rpc/m.lua", "return {\n", "rpc/m.lua:2: "),
    "fails": ("rpc/m.lua", "\n\nlocal x = nil .. 5", "rpc/m.lua:3: attempt to concatenate"),
    "endless": ("rpc/m.lua", "\nwhile true do end", "rpc/m.lua:2: stopped after 1000 ms"),
    "no module": ("rpc/m.lua", 'require "nowhere"', "rpc/m.lua:1: module 'nowhere' not found"),
    "no kind": ("rpc/m.lua", '\nrequire("lynse.args").word("x", "y")',
                "rpc/m.lua:2: attempt to call field 'word'"),
    "bytes": ("rpc/m.lua", "\x1bLJ", "rpc/m.lua: is no text"),
    "nothing": ("rpc/m.lua", "local x = 1", "rpc/m.lua: returns nothing, must return the table"),
    "a text": ("rpc/m.lua", "return 'x'", "rpc/m.lua:1: returns a text, must return the table"),
    "no run": ("rpc/m.lua", "\nreturn { summary = 'x' }",
               "rpc/m.lua:2: run: missing, must be a function"),
    "no summary": ("rpc/m.lua", "return { run = function() end }", "rpc/m.lua:1: summary: missing"),
    "run": ("rpc/m.lua", 'return { summary = "x", run = 5 }',
            "rpc/m.lua:1: run: a number, must be a function"),
    "field": ("rpc/m.lua", table("summry = 1"), "1: there is no field 'summry'"),
    "public": ("rpc/m.lua", table("public = 1"), "1: public: a number, must be true"),
    "arguments": ("rpc/m.lua", table("arguments = { x = 1 }"),
                  "1: arguments: must be a list"),
    "kind": ("rpc/m.lua", table("arguments = { { 'x', 'word' } }"),
             "1: arguments[1] 'x': there is no kind 'word'; there are name, text,"),
    "name": ("rpc/m.lua", table("arguments = { { 'X', 'text' } }"),
             "1: arguments[1][1]: 'X', must be 1 to 31 of a to z"),
    "option": ("rpc/m.lua", table("arguments = { { 'x', 'text', requird = true } }"),
               "1: arguments[1] 'x': there is no field 'requird'"),
    "bounds": ("rpc/m.lua", table("arguments = { { 'x', 'integer', low = 2, high = 1 } }"),
               "1: arguments[1] 'x': low: 2 is more than high, 1"),
    "default": ("rpc/m.lua", table("arguments = { { 'x', 'flag', default = 1 } }"),
                "1: arguments[1] 'x': default: a number, must be true or false"),
    "out": ("rpc/m.lua", table("arguments = { { 'x', 'integer', high = 1, default = 2 } }"),
            "1: arguments[1] 'x': default: '2' is not within low and high"),
    "choice": ("rpc/m.lua",
               table("arguments = { { 'x', 'text', default = 'b', choices = { 'a' } } }"),
               "1: arguments[1] 'x': default: none of its choices"),
    "twice": ("rpc/m.lua", table("arguments = { { 'x', 'text' }, { 'x', 'text' } }"),
              "1: arguments[2]: 'x' is there twice"),
    "reserved": ("rpc/m.lua", table("arguments = { { 'timeout_ms', 'integer' } }"),
                 "1: arguments[1]: 'timeout_ms' is there twice"),
    "many": ("rpc/m.lua", "local all = {}\nfor i = 1, 24 do all[i] = { 'x' .. i, 'text' } end\n"
             + table("arguments = all"), "3: arguments: 24 entries, at most 23"),
    "answer": ("rpc/m.lua", table("returns = { x = print }"),
               "1: returns: holds a function"),
    "ours": ("rpc/search.lua", table(), "rpc/search.lua:1: there is a method 'search' "
             "already, of scripts/rpc/search.lua of the program"),
    "planned": ("rpc/hybrid_search.lua", table(),
                "there is a method 'hybrid_search' already, of scripts/http/planned.lua"),
    "alias": ("rpc/m.lua", table("aliases = { 'add' }"),
              "rpc/m.lua:1: there is a method 'add' already, of scripts/rpc/add.lua"),
    "file": ("rpc/Mine.lua", table(), "rpc/'Mine.lua': a script is called by 1 to 32"),
    "large": ("rpc/m.lua", "--" + "x" * 65536, "rpc/m: 65538 bytes, the limit is 65536"),
    "rerank": ("rerank/mine.lua", "\nreturn function(", "rerank/mine:2: "),
    "score": ("score/mine.lua", "return 5", "score/mine: the source returns a number"),
    "rerank endless": ("rerank/mine.lua", "while true do end", "rerank/mine:1: stopped after"),
}  # fmt: skip


@pytest.mark.parametrize("which", BROKEN)
def test_a_broken_script_ends_the_start(tmp_path, which):
    path, source, said = BROKEN[which]
    folder = script(tmp_path, path, source)
    data = tmp_path / "data"
    started = run("serve", "--port", "0", "--data-dir", data, "--scripts", folder)
    assert started.returncode == 1, started.stderr
    assert said in started.stderr
    assert started.stderr.startswith("lynse serve: scripts")
    assert started.stderr.count("\n") == 1
    checked = run("config", "--scripts", folder)
    assert checked.returncode == 2
    assert checked.stderr == started.stderr.replace("lynse serve", "lynse config")


def test_two_methods_of_one_name_end_the_start(tmp_path):
    script(tmp_path, "rpc/one.lua", table("aliases = { 'both' }"))
    folder = script(tmp_path, "rpc/two.lua", table("aliases = { 'both' }"))
    started = run("serve", "--port", "0", "--data-dir", tmp_path / "data", "--scripts", folder)
    assert started.returncode == 1
    assert "rpc/two.lua:1: there is a method 'both' already, of rpc/one.lua" in started.stderr


def test_a_folder_that_is_right_passes_the_check(tmp_path):
    script(tmp_path, "rerank/shifted.lua", SHIFTED)
    folder = script(tmp_path, "rpc/failing.lua", FAILING)
    checked = run("config", "--scripts", folder)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_folder_that_is_not_there_is_told_at_the_start(tmp_path):
    nowhere = tmp_path / "nowhere"
    answer = run("serve", "--port", "0", "--data-dir", tmp_path / "data", "--scripts", nowhere)
    assert answer.returncode == 1
    assert "nowhere" in answer.stderr
