"""The README's configuration runs as it stands there, but for its paths and port."""

from __future__ import annotations

import re

from room import HERE, MODULE, Room, homes, wait_for

README = HERE.parents[1] / "bindings/nginx/README.md"


def test_the_readmes_configuration_runs(room: Room) -> None:
    text = re.search(r"```nginx\n(.*?)```", README.read_text(), re.S)
    assert text
    configuration = text[1]
    log = room.folder / "cells.log"
    for written, here in (("modules/ngx_http_cellroute_module.so", MODULE),
                          ("/etc/cellroute/topology.yaml", str(room.topology_path)), ("listen 80;", f"listen 127.0.0.1:{room.port};"),
                          ("/var/log/nginx/cells.log", str(log)), ("cellroute_refresh 1s", "cellroute_refresh 100ms"),
                          ("events {}", f"events {{}} pid {room.folder}/nginx.pid; error_log {room.folder}/error.log notice;")):
        assert configuration.count(written) == 1, written
        configuration = configuration.replace(written, here)
    room.topology_tail = "tenant: {sources: [{path: '/tenant/{tenant}'}], trusted_headers: [X-Tenant-ID]}\n"
    topology = room.publish("limits: [{per: KEY, plan: starter, kind: BUCKET, requests: 2, period: 3600s}]",
                            top="", cell=", labels: {schema: 'tenant_{key}'}, endpoints: {reports: 'http://127.0.0.1:%d'}"
                            % room.cells["a"].port)
    room.start(configuration)
    home = homes(topology, ["acme"])["acme"]
    answer = room.ask(X_Tenant_ID="acme", target="/orders?a=1")
    assert (answer.status, answer.json["cell"], answer.json["target"]) == (200, home, "/orders?a=1")
    assert answer.seen("Host") == [f"127.0.0.1:{room.cells[home].port}"]
    assert answer.seen("X-Schema") == ["tenant_acme"]
    assert room.ask(X_Tenant_ID="acme", target="/reports/1").json["cell"] == "a"
    assert [room.ask(X_Tenant_ID="small", X_Plan="starter").status for _ in range(3)] == [200, 200, 429]
    later = room.ask(X_Tenant_ID="small", X_Plan="starter", target="/reports/1")
    assert (later.status, later.body) == (429, b"Later, please: RATE_LIMITED\n")
    found = room.ask(X_Tenant_ID="forged", target="/tenant/acme/x")
    assert found.json["cell"] == home and found.seen("X-Tenant-ID") == ["acme"]
    assert b"cellroute_decisions_total{" in room.ask(target="/metrics").body
    assert room.ask(target="/health").status == 204 and room.ask(target="/").status == 400
    lines = wait_for(lambda: (lines := log.read_text().splitlines()) and len(lines) >= 8 and lines, "the log is written")
    assert f" 200 acme {home} PLACED 1 " in lines[0] and " 429 small " in "".join(lines)


def test_every_directive_and_variable_is_in_the_readme() -> None:
    readme = README.read_text()
    source = "".join(path.read_text() for path in (HERE.parents[1] / "bindings/nginx").glob("*.c"))
    directives = set(re.findall(r'\{ngx_string\("(cellroute\w*)"\),\s*NGX_HTTP_\w+_CONF', source))
    variables = set(re.findall(r'\{ngx_string\("(cellroute_\w+)"\), NULL', source))
    assert len(directives) >= 7 and len(variables) >= 9
    assert [name for name in directives if f"**`{name}" not in readme] == []
    assert [name for name in variables if f"`${name}`" not in readme] == []
