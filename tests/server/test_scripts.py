# SPDX-License-Identifier: Apache-2.0
"""`--scripts DIR`: rankings of the operator's own, by name."""

import http.client
import json

from operated import Server, run

# By ip a distance is the dot product with its sign changed.
SHIFTED = """return function(hits)
   for _, hit in ipairs(hits) do hit.score = 1 - hit.score end
   return hits
end
"""


def post(port, path, **body):
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def folder(tmp_path, source):
    scripts = tmp_path / "scripts"
    (scripts / "rerank").mkdir(parents=True)
    (scripts / "rerank" / "shifted.lua").write_text(source)
    return scripts


def test_a_search_names_a_script_of_the_folder(tmp_path):
    where = {"database_name": "d", "collection_name": "c"}
    server = Server("--scripts", folder(tmp_path, SHIFTED), data_dir=tmp_path / "data")
    try:
        post(server.port, "/required_collection", **where, dim=1)
        post(server.port, "/add", **where, ids=[1, 2], vectors=[[1], [2]])
        search = {**where, "vector": [1], "k": 2}
        status, answer = post(server.port, "/search", **search)
        assert status == 200, answer
        plain = answer["params"]["items"]["scores"]
        status, answer = post(server.port, "/search", **search, rerank="shifted")
        assert status == 200, answer
        assert answer["params"]["items"]["scores"] == [1 + score for score in plain]
        status, answer = post(server.port, "/search", **search, rerank="shift")
        assert status == 404, answer
        assert "shifted" in answer["error"]  # what there is
    finally:
        server.process.terminate()
        assert server.process.wait(20) == 0


def test_a_folder_that_is_not_there_is_told_at_the_start(tmp_path):
    nowhere = tmp_path / "nowhere"
    answer = run("serve", "--port", "0", "--data-dir", tmp_path / "data", "--scripts", nowhere)
    assert answer.returncode == 1
    assert "nowhere" in answer.stderr
