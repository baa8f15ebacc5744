"""Python decides as the command does."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

import cellroute
from conftest import SOURCE

COUNT = 20_000


def test_decisions_are_those_of_the_command(tmp_path: pathlib.Path, bank: cellroute.Router) -> None:
    customers = tmp_path / "customers.jsonl"
    with open(customers, "wb") as file:
        subprocess.run([os.environ["CELLROUTE_CUSTOMERS"], str(COUNT), "3"], stdout=file, check=True)
    topology = SOURCE / "examples/financial/topology.yaml"
    ran = subprocess.run(
        [os.environ["CELLROUTE_COMMAND"], "route", "--topology", topology, "--input", customers],
        capture_output=True, text=True)
    assert ran.returncode in (0, 1), ran.stderr
    requests = [json.loads(line) for line in customers.read_text().splitlines()]
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(requests) == len(answers) == COUNT
    names = ("tier", "region", "flags", "risk", "resource")
    for request, answer in zip(requests, answers):
        decision = bank.locate(request["key"], **{n: request[n] for n in names if n in request})
        assert (decision.key.decode(), decision.status, decision.reason, decision.epoch) == (
            answer["key"], answer["status"], answer["reason"], answer["epoch"])
        if decision.ok:
            assert (decision.cell, decision.endpoint()) == (answer["cell"], answer["endpoint"])
