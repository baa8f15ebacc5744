"""The examples on nginx: each checks what it tells."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import xml.dom.minidom

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


def tell(example: str, *arguments: str, **environment: str) -> str:
    paths = os.pathsep.join([os.environ["PYTHONPATH"], str(EXAMPLES / "telling"), str(EXAMPLES / "lambda_host")])
    ran = subprocess.run([sys.executable, str(EXAMPLES / example / "story.py"), *arguments], text=True, timeout=300,
                         env=os.environ | {"PYTHONPATH": paths} | environment, capture_output=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "\nall as expected\n" in ran.stdout
    return ran.stdout


def test_the_gateway_of_tenants_tells_its_tale() -> None:
    tell("saas_gateway")


def test_the_spike_is_told_and_drawn(tmp_path: pathlib.Path) -> None:
    tell("spike", str(tmp_path / "chart.svg"), SECONDS="3")
    drawn = xml.dom.minidom.parse(str(tmp_path / "chart.svg"))
    assert len(drawn.getElementsByTagName("polygon")) == 6
