"""DynamoDB as the routing store, told step by step; each step checks what it says.

A team has two tables already: which cell serves which customer, and what the customers are. cellroute
reads them as they are, adds its own attributes with its first write of a customer, and never asks DynamoDB
on the way of a request: the near cache answers, or a file.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

import boto3  # type: ignore[import]
import cellroute
from cellroute import Decision, Record, Router, Store, Topology
from dynalite import Dynalite

HERE = pathlib.Path(__file__).parent
REGION = "eu-west-1"
# What the team's tables call things; all else has cellroute's own names.
NAMES = (
    "key_attribute=customer_id&cell_attribute=cell_id&created_attribute=created_at&updated_attribute=updated_at"
    "&profiles=CustomerProfiles&tier_attribute=tier&region_attribute=region&flags_attribute=compliance_flags")


def title(text: str) -> None:
    print(f"\n# {text}", flush=True)


def expect(what: object, expected: object) -> None:
    if what != expected:
        sys.exit(f"expected {expected!r}, not {what!r}")


class Routing:
    """The team's tables, and what is tried with them."""

    def __init__(self, server: Dynalite, directory: pathlib.Path) -> None:
        os.environ |= {"AWS_ACCESS_KEY_ID": "example", "AWS_SECRET_ACCESS_KEY": "example"}
        os.environ.pop("AWS_SESSION_TOKEN", None)
        self.server = server
        self.tables = boto3.resource("dynamodb", region_name=REGION, endpoint_url=server.endpoint)
        self.low_level = boto3.client("dynamodb", region_name=REGION, endpoint_url=server.endpoint)
        self.url = f"dynamodb://CustomerCellMapping?region={REGION}&endpoint={server.endpoint}&{NAMES}"
        self.base = directory / "base.crm"
        self.topology = Topology.from_file(HERE / "topology.yaml")

    def command(self, *arguments: str) -> str:
        ran = subprocess.run([os.environ["CELLROUTE_COMMAND"], *arguments], text=True, capture_output=True)
        if ran.returncode != 0:
            sys.exit(f"cellroute {arguments[0]} {arguments[1]}: {ran.stderr}")
        return ran.stdout + ran.stderr

    def open(self) -> Store:
        return Store.open(self.url, timeout_ns=2_000_000_000)

    def tell(self, decision: Decision, customer: str) -> Decision:
        print(f"{customer}: {decision.status} {decision.reason}, {decision.cell}, epoch {decision.epoch}")
        return decision

    def locate(self, router: Router, store: Store, customer: str, now_ns: int | None = None) -> Decision:
        now_ns = time.time_ns() if now_ns is None else now_ns
        mapping = router.resolve(store, customer, now_ns=now_ns)
        decision = router.locate(customer, region="us-east-1", mapping=mapping, now_ns=now_ns)
        return self.tell(decision, customer)

    def make_tables(self) -> None:
        title("Two tables that the team has already")
        for table in ("CustomerCellMapping", "CustomerProfiles"):
            self.tables.create_table(
                TableName=table, BillingMode="PAY_PER_REQUEST",
                KeySchema=[{"AttributeName": "customer_id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "customer_id", "AttributeType": "S"}])
        mappings = self.tables.Table("CustomerCellMapping")
        for i in range(1, 7):
            item = {"customer_id": f"customer-{i}", "cell_id": "cell-eu-1" if i % 3 == 0 else f"cell-us-{i % 3}",
                    "created_at": "2025-11-03T09:30:00.123456"}
            mappings.put_item(Item=item)
            print(json.dumps(item))
        profiles = self.tables.Table("CustomerProfiles")
        profiles.put_item(Item={"customer_id": "customer-3", "compliance_flags": ["GDPR"], "region": "eu-west-1"})
        profiles.put_item(Item={"customer_id": "customer-1", "compliance_flags": ["GDPR"], "region": "eu-west-1"})

    def route_what_is_there(self, router: Router, near: Store) -> None:
        title("They are read as they are; customer-1 has a flag that its cell does not meet, and is not served")
        expect(self.locate(router, near, "customer-2").cell, "cell-us-2")
        expect(self.locate(router, near, "customer-3").cell, "cell-eu-1")
        expect(self.locate(router, near, "customer-1").status, "COMPLIANCE")

    def assign_a_new_one(self, router: Router, near: Store) -> None:
        title("A new customer is assigned by a conditional write: two routers, one answer")
        first = router.assign(near, "customer-7", region="us-east-1")
        second = Router(self.topology).assign(self.open(), "customer-7", region="us-east-1")
        self.tell(first.decision, "customer-7")
        expect(second.decision.cell, first.decision.cell)
        item = self.tables.Table("CustomerCellMapping").get_item(Key={"customer_id": "customer-7"})["Item"]
        print({name: str(item[name]) for name in ("customer_id", "cell_id", "Revision", "Epoch", "created_at")})

    def expire_a_session(self, router: Router, near: Store) -> None:
        title("A session is mapped for a minute; then it is absent, whenever DynamoDB removes it")
        now = time.time_ns()
        session = Record(key=b"session-9f2", cell="cell-us-2", ephemeral=True, expires_ns=now + 60 * 10**9)
        self.open().put(session, expected=0, now_ns=now)
        expect(self.locate(router, near, "session-9f2", now).reason, "MAPPED")
        expect(self.locate(router, near, "session-9f2", now + 61 * 10**9).status, "UNASSIGNED")

    def list_a_cell(self) -> None:
        title("Who is in cell-eu-1")
        listed = self.command("mapping", "list", "--cell", "cell-eu-1", "--mappings", self.url)
        keys = [json.loads(line)["key"] for line in listed.splitlines()]
        print(", ".join(sorted(keys)))
        expect(sorted(keys), ["customer-3", "customer-6"])

    def move_and_look_back(self, router: Router, near: cellroute.CachedStore) -> None:
        title("customer-2 moves; its history says where it was, its epoch tells old answers from new ones")
        self.command("mapping", "put", "customer-2", "--cell", "cell-us-1", "--mappings", self.url)
        print(self.command("mapping", "history", "customer-2", "--mappings", self.url), end="")
        expect(self.locate(router, near, "customer-2").epoch, 1)
        print("(another process wrote it: the near cache learns it with time, or when it is told)")
        near.invalidate("customer-2")
        moved = self.locate(router, near, "customer-2")
        expect((moved.cell, moved.epoch), ("cell-us-1", 2))

    def keep_a_file(self) -> None:
        title("A file of all mappings, and what changed since")
        told = self.command("sync", "--mappings", self.url, "--output", str(self.base), "--once")
        print(told.replace(str(self.base.parent) + "/", ""), end="")

    def learn_from_stream(self, router: Router, near: cellroute.CachedStore) -> dict[str, Any]:
        title("The table's stream says what changed. A function of a router's own hears it, and knows at once")
        expect(self.locate(router, near, "customer-6").cell, "cell-eu-1")
        self.command("mapping", "put", "customer-6", "--cell", "cell-us-2", "--mappings", self.url)
        item = self.low_level.get_item(TableName="CustomerCellMapping", Key={"customer_id": {"S": "customer-6"}})["Item"]
        item["OpId"]["B"] = base64.b64encode(item["OpId"]["B"]).decode()
        event = {"Records": [  # as Lambda hands it over; dynalite has no streams
            {"eventID": "1", "eventName": "MODIFY", "eventSource": "aws:dynamodb",
             "dynamodb": {"Keys": {"customer_id": {"S": "customer-6"}}, "NewImage": item, "SequenceNumber": "111",
                          "StreamViewType": "NEW_AND_OLD_IMAGES"}}]}

        def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
            def take(change: cellroute.StreamChange) -> None:
                if change.record is None:  # its profile is in another table, so it must be read
                    near.invalidate(change.key)
                else:
                    near.observe(change.record)

            return cellroute.read_stream(self.url, event, take).response

        response = handler(event, None)
        print(response)
        expect(response, {"batchItemFailures": []})
        moved = self.locate(router, near, "customer-6")
        expect((moved.cell, moved.epoch), ("cell-us-2", 2))
        return event

    def follow_changes(self, directory: pathlib.Path, changed: dict[str, Any]) -> None:
        title("And so does the file: another function reads those keys, and nothing else")
        event = directory / "event.json"
        event.write_text(json.dumps(changed))
        told = self.command(
            "sync", "--mappings", self.url, "--output", str(self.base), "--once", "--event", str(event))
        print(told.replace(str(directory) + "/", ""), end="")

    def tell_the_usage(self, near: Store) -> None:
        title("What this router asked of the tables, for its metrics")
        for usage in cellroute.table_usage(near):
            print(f"{usage.table}: {usage.calls} calls, {usage.throttles} throttled, {usage.failures} failed, "
                  f"{usage.read_units:g} read units, {usage.write_units:g} write units")
            expect((usage.calls > 0, usage.throttles, usage.failures), (True, 0, 0))

    def lose_the_store(self, router: Router, near: Store) -> None:
        title("DynamoDB is away. Those who were looked up are served; a stranger is not placed by guessing")
        self.server.kill()
        later = time.time_ns() + 400 * 10**9
        expect(self.locate(router, near, "customer-2", later).reason, "STALE_MAPPING")
        expect(self.locate(router, near, "customer-5", later).status, "UNAVAILABLE")
        title("A router that starts now, from the file alone")
        restarted = Router()
        restarted.publish(self.topology, mappings=Store.open(f"file:{self.base}"))
        for customer, cell in (("customer-2", "cell-us-1"), ("customer-5", "cell-us-2"), ("customer-6", "cell-us-2")):
            expect(self.tell(restarted.locate(customer, region="us-east-1"), customer).cell, cell)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, Dynalite() as server:
        routing = Routing(server, pathlib.Path(directory))
        routing.make_tables()
        router, near = Router(routing.topology), routing.open().cached()
        routing.route_what_is_there(router, near)
        routing.assign_a_new_one(router, near)
        routing.expire_a_session(router, near)
        routing.list_a_cell()
        routing.move_and_look_back(router, near)
        routing.keep_a_file()
        changed = routing.learn_from_stream(router, near)
        routing.follow_changes(pathlib.Path(directory), changed)
        routing.tell_the_usage(near)
        routing.lose_the_store(router, near)
        print("\nall as expected")


if __name__ == "__main__":
    main()
