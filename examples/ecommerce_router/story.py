"""An e-commerce router before three cells, told step by step; each step checks what it says."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import boto3  # type: ignore[import]
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dynalite import Dynalite
from telling import Answer, Process, ask, expect, tell, title, until

HERE = pathlib.Path(__file__).parent
REGION, ISSUER, AUDIENCE = "eu-west-1", "https://login.example.com", "shop-api"
MAPPED = {"cust-000001": "shop-2", "cust-000002": "shop-3", "cust-000003": "shop-1"}
# Of /metrics, to be read here.
SHOWN = ("cellroute_decisions_total", "cellroute_cell_calls_total", "cellroute_lookups_total", "cellroute_cell_healthy",
         "cellroute_cell_load", "cellroute_cache_hits_total", "cellroute_cache_stale_total")
CUSTOMERS = [f"cust-{number:06}" for number in range(1, 31)]


class Shop:
    """Three cells, a table, two routers, and customers with tokens."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.server = stack.enter_context(Dynalite())
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.make_table()
        self.cells: dict[str, tuple[Process, int]] = {}
        topology = (HERE / "topology.yaml").read_text()
        for cell in ("shop-1", "shop-2", "shop-3"):
            port = self.start_cell(cell, 0)
            topology = topology.replace(f"https://{cell}.internal.example.com", f"http://127.0.0.1:{port}")
        stack.callback(self.end_cells)
        (self.directory / "topology.yaml").write_text(topology)
        self.ports = [self.start_router() for _ in range(2)]

    def make_table(self) -> None:
        os.environ |= {"AWS_ACCESS_KEY_ID": "example", "AWS_SECRET_ACCESS_KEY": "example"}
        os.environ.pop("AWS_SESSION_TOKEN", None)
        tables = boto3.resource("dynamodb", region_name=REGION, endpoint_url=self.server.endpoint)
        table = tables.create_table(
            TableName="CustomerCellMapping", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "PartitionKey", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "PartitionKey", "AttributeType": "S"}])
        for customer, cell in MAPPED.items():
            table.put_item(Item={"PartitionKey": customer, "CellId": cell})

    def start_cell(self, cell: str, port: int) -> int:
        process = Process(HERE / "cell.py", cell, port)
        self.cells[cell] = process, int(process.first_line)
        return self.cells[cell][1]

    def end_cells(self) -> None:
        for process, _ in self.cells.values():
            process.end()

    def start_router(self) -> dict[str, int]:
        public = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        keyring = self.directory / "keyring.json"
        keyring.write_text(json.dumps([{"kid": "this-run", "alg": "ES256", "pem": public}]))
        process = Process(
            HERE / "serve.py", TOPOLOGY=str(self.directory / "topology.yaml"), KEYRING=str(keyring),
            ISSUER=ISSUER, AUDIENCE=AUDIENCE, CACHE_SECONDS="1", PROBE_SECONDS="0.3",
            MAPPINGS=f"dynamodb://CustomerCellMapping?region={REGION}&endpoint={self.server.endpoint}")
        self.stack.callback(process.end, signal.SIGTERM)
        ports: dict[str, int] = json.loads(process.first_line)
        return ports

    def token(self, customer: str, key: Any = None, algorithm: str = "ES256", **claims: object) -> str:
        members = {"iss": ISSUER, "aud": AUDIENCE, "sub": customer, "tier": "retail", "region": REGION,
                   "exp": int(time.time()) + 900} | claims
        return jwt.encode({name: value for name, value in members.items() if value is not None},
                          self.key if key is None else key, algorithm, headers={"kid": "this-run"})

    def ask(self, customer: str, method: str = "GET", path: str | None = None, body: bytes | None = None,
            token: str | None = None, router: int = 0, headers: dict[str, str] | None = None) -> Answer:
        sent = {"Authorization": f"Bearer {token or self.token(customer)}"} | (headers or {})
        return ask(self.ports[router]["port"], path or f"/customers/{customer}/orders", method, sent, body)

    def operator(self, path: str) -> bytes:
        return ask(self.ports[0]["operator_port"], path).body

    def find_cells(self) -> None:
        title("Who is in the table goes where it says; who is not goes where the hash says, on either router")
        for customer in CUSTOMERS[:6]:
            first, second = self.ask(customer), self.ask(customer, router=1)
            print(f"    {customer} {'mapped' if customer in MAPPED else 'absent'}: {first.told()}")
            expect((first.status, second.json["cell"]), (200, first.json["cell"]))
            if customer in MAPPED:
                expect(first.json["cell"], MAPPED[customer])

    def forward(self) -> None:
        title("What the cell is asked is what the client asked")
        target = "/customers/cust-000001/orders/a%20b?tag=a%26b&tag=b+c&empty=&q=%C3%BC"
        answer = self.ask("cust-000001", "POST", target, b'{"item":"chair"}',
                          headers={"X-Cell-ID": "shop-1", "Connection": "X-Hop", "X-Hop": "1", "X-Note": "kept",
                                   "X-Request-ID": "client-000042"})
        seen = answer.json
        got = {name.lower(): value for name, value in seen["headers"]}
        print(f"    {seen['method']} {seen['target']}")
        for name in ("X-Note", "X-Cell-ID", "X-Cell-Epoch", "X-Tenant-ID", "X-Request-ID", "X-Hop"):
            print(f"    {name}: {got.get(name.lower(), '(not sent on)')}")
        expect((seen["target"], seen["orders"], got["x-cell-id"], "x-hop" in got), (target, 1, "shop-2", False))
        expect((got["x-note"], got["x-request-id"], answer.headers["X-Request-ID"]), ("kept",) + ("client-000042",) * 2)
        moved = self.ask("cust-000001", path="/customers/cust-000001/moved")
        print(f"    a redirect is the client's to follow: {moved.status} {moved.headers['Location']}")
        expect(moved.status, 302)

    def refuse(self) -> None:
        title("What is refused")
        stranger = ec.generate_private_key(ec.SECP256R1())
        customer = "cust-000001"
        for what, status, given in (
            ("no customer: /customers//orders", 400, {"path": "/customers//orders"}),
            ("no customer: /customers/null/orders", 400, {"path": "/customers/null/orders"}),
            ("a path that can be read in two ways", 400, {"path": "/customers/cust-000001/../cust-000002/orders"}),
            ("no token", 401, {"token": "none"}),
            ("a token that a stranger signed", 401, {"token": self.token(customer, stranger)}),
            ("a token without a signature (alg none)", 401, {"token": self.token(customer, "", "none")}),
            ("a token by another algorithm (HS256)", 401, {"token": self.token(customer, "k" * 32, "HS256")}),
            ("a token that has expired", 401, {"token": self.token(customer, exp=int(time.time()) - 1)}),
            ("a token that never expires", 401, {"token": self.token(customer, exp=None)}),
            ("another customer's token", 403, {"token": self.token("cust-000002")}),
            ("a body above 1 MiB", 413, {"method": "PUT", "body": b"x" * ((1 << 20) + 1)}),
        ):
            answer = self.ask(customer, **given)  # type: ignore[arg-type]
            print(f"    {what:40} {answer.told()}")
            expect(answer.status, status)
            expect(sorted(answer.json), ["code", "reason", "request_id"])

    def limit(self) -> None:
        title("150 requests at once of one customer, and 20 of another: 100 in any minute a customer")
        with ThreadPoolExecutor(8) as pool:
            noisy = [pool.submit(self.ask, "cust-000007") for _ in range(150)]
            quiet = [pool.submit(self.ask, "cust-000008") for _ in range(20)]
        for name, asked in (("cust-000007", noisy), ("cust-000008", quiet)):
            told = Counter(answer.result().status for answer in asked)
            print(f"    {name} {dict(told)}")
            expect(told, {200: 100, 429: 50} if name == "cust-000007" else {200: 20})
        refused = self.ask("cust-000007")
        print(f"    the next one: {refused.told()}\n    {refused.body.decode()}")
        expect(1 <= int(refused.headers["Retry-After"]) <= 80, True)

    def lose_a_cell(self) -> None:
        title("shop-2 is killed: its own customers fail fast, nobody else notices")
        home = {customer: self.ask(customer).json["cell"] for customer in CUSTOMERS if customer != "cust-000007"}
        process, port = self.cells["shop-2"]
        process.end()
        told: dict[str, Counter[str]] = {cell: Counter() for cell in self.cells}
        for _ in range(3):
            for customer, cell in home.items():
                told[cell][self.ask(customer).told().partition(",")[0]] += 1
        for cell, counted in told.items():
            print(f"    customers of {cell}: {dict(counted)}")
        for cell in ("shop-1", "shop-3"):
            expect(list(told[cell]), [f"200 from {cell}"])
        victim = next(customer for customer, cell in home.items() if cell == "shop-2")
        until(lambda: self.probe("shop-2") == "CONNECT_ERROR", "the prober has seen it")
        refused = self.ask(victim)
        print(f"    {victim}: {refused.told()}")
        expect((refused.status, refused.json["code"]), (503, "UNAVAILABLE"))
        self.bring_it_back(victim, port)

    def bring_it_back(self, victim: str, port: int) -> None:
        impostor = Process(HERE / "cell.py", "shop-3", port)
        until(lambda: self.probe("shop-2") == "WRONG_CELL", "the prober has seen the impostor")
        refused = self.ask(victim)
        print(f"    shop-3's program is started at shop-2's address, a probe says WRONG_CELL: {refused.told()}")
        expect(refused.status, 503)
        impostor.end()
        self.start_cell("shop-2", port)
        until(lambda: self.ask(victim).status == 200, "shop-2 is served again")
        print(f"    shop-2 is back: {self.ask(victim).told()}")

    def probe(self, cell: str) -> str:
        seen: str = json.loads(self.operator("/cells"))[cell]["probe"]
        return seen

    def lose_the_table(self) -> None:
        title("DynamoDB is gone. Who was looked up is served by the last good answer, and nobody is placed by guessing")
        self.ask("cust-000003")
        self.server.kill()
        time.sleep(1.2)  # what is held near is out of date now
        known, stranger = self.ask("cust-000003"), self.ask("cust-000999")
        print(f"    cust-000003, who was looked up: {known.told()}")
        print(f"    cust-000999, who was not:       {stranger.told()}")
        expect((known.json["cell"], stranger.status), ("shop-1", 503))

    def show_what_is_counted(self) -> None:
        title("What the operator sees: /health, /cells, /metrics")
        print(f"    {self.operator('/health').decode()}")
        for cell, seen in json.loads(self.operator("/cells")).items():
            print(f"    {cell}: {seen}")
        lines = [line for line in self.operator("/metrics").decode().splitlines() if not line.startswith("#")]
        shown = [line for line in lines if line.startswith(SHOWN) and not line.endswith(" 0")]
        print("\n".join(f"    {line}" for line in shown))
        print(f"    and {len(lines) - len(shown)} lines more")
        limited = sum(int(line.split()[-1]) for line in lines if 'reason="KEY_LIMIT"' in line)
        expect(limited, 51)


def story(stack: ExitStack) -> None:
    shop = Shop(stack)
    shop.find_cells()
    shop.forward()
    shop.refuse()
    shop.limit()
    shop.lose_a_cell()
    shop.lose_the_table()
    shop.show_what_is_counted()


if __name__ == "__main__":
    tell(story)
