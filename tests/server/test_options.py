# SPDX-License-Identifier: Apache-2.0
"""Where options come from, and what is said of wrong ones."""

import json
import re

import pytest
from operated import ROOT, run


def options(*arguments, env=None):
    """{name: (value, origin)} of `lynse config`."""
    answer = run("config", *arguments, env=env)
    assert answer.returncode == 0, answer.stderr
    return {
        name: (value, origin)
        for name, value, origin in map(str.split, answer.stdout.split("\n")[:-1])
    }


def refusal(*arguments, env=None, verb="config"):
    answer = run(verb, *arguments, env=env)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert len(answer.stderr.splitlines()) == 1
    return answer.stderr


def test_command_line_goes_before_environment_file_and_default(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"port": 3, "workers": 3, "keep_alive_secs": 3}')
    env = {"LYNSE_PORT": "2", "LYNSE_WORKERS": "2"}
    found = options("--config", path, "--port=1", env=env)
    assert found["port"] == ("1", "--port")
    assert found["workers"] == ("2", "LYNSE_WORKERS")
    assert found["keep_alive_secs"] == ("3", str(path))
    assert found["payload_limit_mb"] == ("256", "default")


def test_both_ways_to_write_a_value_and_the_last_one_counts():
    assert options("--port", "1", "--port=2")["port"] == ("2", "--port")
    assert options("--log-requests")["log_requests"][0] == "true"
    assert options("--no-audit-log")["audit_log"] == ("false", "--no-audit-log")
    assert options("--audit-log=off")["audit_log"][0] == "off"


@pytest.mark.parametrize(
    ("arguments", "env", "name", "value"),
    [
        (["--root", "/x"], {}, "data_dir", "/x"),
        ([], {"LYNSE_ROOT": "/x"}, "data_dir", "/x"),
        ([], {"PORT": "9"}, "port", "9"),
        ([], {"PORT": "9", "LYNSE_PORT": "8"}, "port", "8"),
        ([], {"LYNSE_SERVER_WORKERS": "7"}, "workers", "7"),
        ([], {"LYNSE_CLIENT_REQUEST_TIMEOUT_SECS": "5"}, "request_timeout_secs", "5"),
        (["--role", "single"], {}, "port", "7637"),
        ([], {"LYNSE_PORT": ""}, "port", "7637"),
    ],
)
def test_lynsedb_names(arguments, env, name, value):
    assert options(*arguments, env=env)[name][0] == value


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["--port", "65536"], {}, "port: '65536' must be a number, 0 to 65535 (from --port)"),
        (["--port", "-1"], {}, "'-1'"),
        (["--port", "1e3"], {}, "'1e3'"),
        (["--port", ""], {}, "port: ''"),
        (["--port", "99999999999999999999"], {}, "must be a number"),
        (["--port"], {}, "--port: no value behind it"),
        (["--workers=257"], {}, "0 to 256"),
        ([], {"LYNSE_WORKERS": "many"}, "'many' must be a number, 0 to 256 (from LYNSE_WORKERS)"),
        (["--log-level", "loud"], {}, "debug, info, warn or error (from --log-level)"),
        (["--insecure=perhaps"], {}, "must be true or false (from --insecure)"),
        (["--prot", "1"], {}, "there is no option '--prot'; did you mean '--port'?"),
        (["--keep-alive-sec=1"], {}, "did you mean '--keep-alive-secs'?"),
        (["--zzzzzz"], {}, "there is no option '--zzzzzz'\n"),
        (["--no-port"], {}, "there is no option '--no-port'"),
        (["port"], {}, "'port' is no option"),
        (["--role", "coordinator"], {}, "clusters are not there yet"),
        (["--cluster-config", "x"], {}, "clusters are not there yet"),
        ([], {"LYNSE_ROLE": "coordinator"}, "clusters are not there yet"),
        (["--api-key", "x" * 513], {}, "api_key: must have 1 to 512 bytes"),
        (["--api-key", ""], {}, "api_key: must have 1 to 512 bytes"),
        (["--socket", "/" + "x" * 107], {}, "socket: 108 bytes, must be 1 to 107"),
    ],
)
def test_wrong_options_are_one_line(arguments, env, said):
    assert said in refusal(*arguments, env=env)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"port": 5, "audit_log": false, "log_level": "warn"}'),
        ("a.json", '{"client": 1, "server": {"port": 5, "audit_log": false, "log_level": "warn"}}'),
        (
            "a.ini",
            "[client]\nport = 9\n[server]\nport = 5 # five\naudit_log=no\nlog_level = 'warn'\n",
        ),
        ("a.lua", "return { port = 5, audit_log = false, log_level = 'warn' }"),
        (
            "a.lua",
            "local p = 5\nreturn { port = p, audit_log = 1 == 2, log_level = 'w' .. 'arn' }",
        ),
    ],
)
def test_config_files(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    found = options("--config", path)
    assert found["port"] == ("5", str(path))
    assert found["audit_log"][0] in ("false", "no")
    assert found["log_level"][0] == "warn"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", '{"prot": 5}', "there is no option 'prot'; did you mean 'port'?"),
        ("a.json", '{"port": 70000}', "port: '70000' must be a number, 0 to 65535"),
        ("a.json", '{"port": 1.5}', "port: '1.5' must be a number"),
        ("a.json", '{"port": [1]}', "port: must be a text, a number, true or false"),
        ("a.json", '{"port": 1', "a.json"),
        ("a.json", '{"server": 1}', "server: must be an object"),
        ("a.json", '{"data_dir": "a\\u0000b"}', "NUL"),
        ("a.json", '{"port": 1, "port": 2}', "port"),
        ("a.json", "[" * 100000, "a.json"),
        ("a.ini", "[server]\nport\n", "a.ini:2: must be key = value"),
        ("a.ini", "[server]\nport = x\n", "port: 'x' must be a number"),
        ("a.lua", "return 5", "must return a table"),
        ("a.lua", "", "must return a table"),
        ("a.lua", "return { port = ", "a.lua:1"),
        ("a.lua", "while true do end", "takes too long"),
        ("a.lua", "local s = 'x' while true do s = s .. s end", "a.lua: not enough memory"),
        ("a.lua", "return { port = function() end }", "must be a text"),
        ("a.lua", "return { 5 }", "a key is a number"),
        ("a.lua", "return os.execute 'true'", "a.lua:1"),
        ("a.lua", "return ('x'):rep(1e9)", "a.lua:1"),
        ("a.lua", "\x1bLJ", "is no text"),
    ],
)
def test_wrong_config_files(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text)
    assert said in refusal("--config", path)


def test_config_files_that_cannot_be_read(tmp_path):
    assert "No such file" in refusal("--config", tmp_path / "none")
    assert refusal("--config", tmp_path)
    large = tmp_path / "large"
    large.write_bytes(b"#" * (1 << 20) + b"\n" * 4096)
    assert "over 1048576 bytes" in refusal("--config", large)


def test_the_shipped_config_has_every_option_with_its_default(tmp_path):
    text = (ROOT / "scripts" / "config.lua").read_text()
    before = options()
    assert set(re.findall(r"^   -- (\w+) = ", text, re.MULTILINE)) == set(before)
    path = tmp_path / "all.lua"
    path.write_text(re.sub(r"^   -- (\w+) = ", r"   \1 = ", text, flags=re.MULTILINE))
    after = options("--config", path)
    del after["api_key"], before["api_key"]
    assert {n: v for n, (v, _) in after.items()} == {n: v for n, (v, _) in before.items()}


def test_a_key_is_never_printed(tmp_path):
    file = tmp_path / "key"
    file.write_text("geheim-2\n")
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"api_key": "geheim-3"}))
    for arguments in (["--api-key", "geheim-1"], ["--api-key-file", file], ["--config", path]):
        answer = run("config", *arguments)
        assert answer.returncode == 0, answer.stderr
        assert re.search(r"^api_key +\(set\)", answer.stdout, re.MULTILINE)
        assert "geheim" not in answer.stdout.replace(str(file), "") + answer.stderr
    both = refusal("--api-key", "geheim-1", "--api-key-file", file)
    assert "one of them is enough" in both
    assert "geheim" not in both
    assert "api_key_file" in refusal("--api-key-file", tmp_path / "none")


def test_beyond_this_machine_a_key_and_insecure_are_needed():
    assert "LYNSE_API_KEY" in refusal("--host", "0.0.0.0", verb="serve")
    assert "LYNSE_API_KEY" in refusal("--host", "::", "--insecure", verb="serve")
    assert "--insecure" in refusal("--host", "10.1.2.3", env={"LYNSE_API_KEY": "x"}, verb="serve")
    assert "--insecure" in refusal("--host", "127.evil", env={"LYNSE_API_KEY": "x"}, verb="serve")
    assert "nothing to listen at" in refusal("--host", "", verb="serve")
    assert options("--host", "127.9.9.9")["host"][0] == "127.9.9.9"
    assert options("--host", "0.0.0.0", "--insecure", env={"LYNSE_API_KEY": "x"})


def test_help_names_every_option():
    answer = run("serve", "--help")
    assert answer.returncode == 0
    for name in options():
        assert "--" + name.replace("_", "-") in answer.stdout
