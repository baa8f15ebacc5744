"""A gateway of tenants on nginx, told step by step; each step checks what it says."""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections import Counter
from contextlib import ExitStack

from nginx import Nginx
from telling import Answer, Process, ask, expect, tell, title, until

HERE = pathlib.Path(__file__).resolve().parent
DOMAIN = "saas.example.com"
TENANTS = [f"tenant-{number}" for number in range(1, 25)]


class Saas:
    """Three cells and the gateway."""

    def __init__(self, stack: ExitStack) -> None:
        self.folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.folder.chmod(0o755)
        self.cells: dict[str, tuple[Process, int]] = {}
        self.limited = 0
        self.topology = (HERE / "topology.yaml").read_text()
        for number in (1, 2, 3):
            port = self.start_cell(f"cell-{number}", 0)
            self.topology = self.topology.replace(f"@PORT-{number}@", str(port))
        stack.callback(self.end_cells)
        self.publish()
        words = {"MODULE": os.environ["CELLROUTE_NGINX_MODULE"], "TOPOLOGY": self.folder / "topology.yaml"}
        self.gateway = stack.enter_context(Nginx(self.folder / "gateway", HERE / "nginx.conf", words))

    def start_cell(self, cell: str, port: int) -> int:
        process = Process(HERE.parent / "ecommerce_router/cell.py", cell, port)
        self.cells[cell] = process, int(process.first_line)
        return self.cells[cell][1]

    def end_cells(self) -> None:
        for process, _ in self.cells.values():
            process.end()

    def publish(self) -> None:
        """As a whole, or not at all."""
        fresh = self.folder / "topology.new"
        fresh.write_text(self.topology)
        fresh.chmod(0o644)
        fresh.rename(self.folder / "topology.yaml")

    def ask(self, tenant: str | None = None, target: str = "/orders", method: str = "GET", host: str = "",
            body: bytes | None = None, **headers: str) -> Answer:
        """`tenant` is a sub-domain, where no host is given."""
        name = host or (f"{tenant}.{DOMAIN}" if tenant else f"www.{DOMAIN}")
        sent = {"Host": name} | {field.replace("_", "-"): value for field, value in headers.items()}
        return ask(self.gateway.port, target, method, sent, body)

    def find_tenants(self) -> None:
        title("Whose a request is: by sub-domain, by path, by header, one cell whichever way")
        for what, answer in (
            (f"acme.{DOMAIN}/orders", self.ask("acme")),
            (f"www.{DOMAIN}/tenant/acme/orders", self.ask(target="/tenant/acme/orders")),
            (f"api.{DOMAIN}/orders, X-Tenant-ID: acme", self.ask(host=f"api.{DOMAIN}", X_Tenant_ID="acme")),
            (f"ACME.{DOMAIN}:80/tenant/acme, X-Tenant-ID: acme",
             self.ask(host=f"ACME.{DOMAIN}:80", target="/tenant/acme", X_Tenant_ID="acme")),
        ):
            print(f"    {what:52} {answer.json['customer']}: {answer.told()}")
            expect((answer.status, answer.json["customer"]), (200, "acme"))
            expect(answer.json["cell"], self.ask("acme").json["cell"])

    def refuse(self) -> None:
        title("Whose it is not clear, is nobody's")
        for what, answer in (
            (f"www.{DOMAIN}/orders", self.ask()),
            ("127.0.0.1/orders", self.ask(host="127.0.0.1")),
            (f"a.b.{DOMAIN}/orders", self.ask("a.b")),
            (f"acme.{DOMAIN}/tenant/globex/orders", self.ask("acme", "/tenant/globex/orders")),
            (f"acme.{DOMAIN}/orders, X-Tenant-ID: globex", self.ask("acme", X_Tenant_ID="globex")),
            (f"acme.{DOMAIN}/x/../tenant/globex", self.ask("acme", "/x/../tenant/globex")),
            (f"acme.{DOMAIN}/x/%2e%2E/tenant/globex", self.ask("acme", "/x/%2e%2E/tenant/globex")),
            (f"acme.{DOMAIN}//tenant/globex", self.ask("acme", "//tenant/globex")),
            (f"acme.{DOMAIN}/t%65nant/globex", self.ask("acme", "/t%65nant/globex")),
            (f"www.{DOMAIN}/tenant/%67lobex, X-Tenant-ID: acme", self.ask(target="/tenant/%67lobex", X_Tenant_ID="acme")),
        ):
            print(f"    {what:52} {answer.told()}")
            expect((answer.status, answer.json["code"]), (400, "INVALID_ARGUMENT"))

    def forward(self) -> None:
        title("Every method, with path, query and body as they were; what only the gateway may say is the gateway's word")
        target = "/reports/a%20b;v=1?tag=a%26b&tag=b+c&empty="
        for number, method in enumerate(("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT")):
            answer = self.ask(f"method-{number}", target, method, body=b'{"a":1}', X_Cell_ID="forged", x_cell_id="forged")
            ours = ("x-cell-id", "x-tenant-id")
            got = [(name, value) for name, value in answer.json["headers"] if name.lower() in ours]
            print(f"    {method:8} {answer.told()}: {answer.json['target']} {got}")
            expect((answer.status, answer.json["method"], answer.json["target"]), (200, method, target))
            expect(sorted(got), [("X-Cell-ID", answer.json["cell"]), ("X-Tenant-ID", f"method-{number}")])

    def limit(self) -> None:
        title("A noisy tenant is limited, over both workers, and nobody else is; a new topology is taken without a reload")
        for generation, allowed in ((1, 20), (2, 40)):
            if generation > 1:
                self.topology = self.topology.replace("generation: 1", "generation: 2")
                self.topology = self.topology.replace("requests: 20", "requests: 40")
                self.publish()
                until(lambda: self.log().count("generation 2 serves") >= 2, "both workers serve generation 2")
            told = Counter(self.ask(f"noisy-{generation}").status for _ in range(60))
            quiet = Counter(self.ask(tenant).status for tenant in TENANTS)
            print(f"    generation {generation}: noisy {dict(told)}, the others {dict(quiet)}")
            expect((allowed <= told[200] <= allowed + 10, told[200] + told[429], quiet), (True, 60, {200: len(TENANTS)}))
            self.limited += told[429]
        refused = self.ask("noisy-2")
        self.limited += refused.status == 429
        print(f"    {refused.told()}\n    {refused.body.decode().strip()}")

    def lose_a_cell(self) -> None:
        title("cell-2 is killed: its tenants fail fast, nobody else notices; and it comes back")
        home = {tenant: self.ask(tenant).json["cell"] for tenant in TENANTS}
        process, port = self.cells["cell-2"]
        process.end()
        told: dict[str, Counter[str]] = {cell: Counter() for cell in self.cells}
        for _ in range(3):
            for tenant, cell in home.items():
                told[cell][self.ask(tenant).told().partition(",")[0]] += 1
        for cell, counted in told.items():
            print(f"    tenants of {cell}: {dict(counted)}")
        for cell in ("cell-1", "cell-3"):
            expect(list(told[cell]), [f"200 from {cell}"])
        victim = next(tenant for tenant, cell in home.items() if cell == "cell-2")
        print(f"    {victim}: {self.ask(victim).told()}")
        expect(self.ask(victim).status, 503)
        self.start_cell("cell-2", port)
        until(lambda: self.ask(victim).status == 200, "cell-2 is served again")
        print(f"    {victim}: {self.ask(victim).told()}")

    def show_what_is_counted(self) -> None:
        title("What both workers counted, at /metrics")
        text = ask(self.gateway.port, "/metrics").body.decode()
        lines = [line for line in text.splitlines() if line.startswith("cellroute_decisions_total")]
        print("\n".join(f"    {line}" for line in lines))
        limited = sum(int(line.split()[-1]) for line in lines if 'reason="KEY_LIMIT"' in line)
        expect(limited, self.limited)
        title("The last lines of nginx's log")
        for line in (self.gateway.folder / "cells.log").read_text().splitlines()[-3:]:
            print(f"    {line}")

    def log(self) -> str:
        return (self.gateway.folder / "error.log").read_text(errors="replace")


def story(stack: ExitStack) -> None:
    saas = Saas(stack)
    saas.find_tenants()
    saas.refuse()
    saas.forward()
    saas.limit()
    saas.lose_a_cell()
    saas.show_what_is_counted()


if __name__ == "__main__":
    tell(story)
