"""The wheel, the Lambda layer and a function's zip: made and installed without network, and they serve."""

from __future__ import annotations

import base64
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import pytest

from conftest import SOURCE
from lambda_room import event, shop
from loopback_cell import LoopbackCell
from run_function import function

AMAZON_LINUX_2023 = 34  # its glibc is 2.34

SERVES = """
import cellroute
topology = cellroute.Topology.from_bytes("generation: 1\\ncells: [{id: a, endpoint: 'http://a'}]\\n")
print(cellroute.Router(topology).route("c").cell, cellroute.library_path)
"""


def built(script: str, out: pathlib.Path) -> pathlib.Path:
    ran = subprocess.run(
        [SOURCE / script, "--library", os.environ["CELLROUTE_PACKAGED_LIBRARY"], "--out", out],
        capture_output=True, text=True, check=True)
    return pathlib.Path(ran.stdout.strip())


def serves(room: pathlib.Path) -> None:
    """Without the variable: the library beside the package is found."""
    environment = os.environ | {"PYTHONPATH": str(room)}
    del environment["CELLROUTE_LIBRARY"]
    ran = subprocess.run(
        [sys.executable, "-c", SERVES], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == f"a {room}/cellroute/libcellroute.so\n"


def test_a_wheel_holds_what_its_record_says(tmp_path: pathlib.Path) -> None:
    with zipfile.ZipFile(built("bindings/python/build_wheel", tmp_path)) as wheel:
        record = next(name for name in wheel.namelist() if name.endswith("/RECORD"))
        listed = dict(line.split(",", 1) for line in wheel.read(record).decode().splitlines())
        assert set(listed) == set(wheel.namelist())
        assert {"cellroute/libcellroute.so", "cellroute/py.typed", "cellroute/__init__.py"} < set(listed)
        for name, told in listed.items():
            data = wheel.read(name)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert told == ("," if name == record else f"sha256={digest},{len(data)}")


def test_equal_input_makes_an_equal_wheel(tmp_path: pathlib.Path) -> None:
    one, two = (built("bindings/python/build_wheel", tmp_path / name) for name in "ab")
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()


def test_an_installed_wheel_serves(tmp_path: pathlib.Path) -> None:
    wheel = built("bindings/python/build_wheel", tmp_path)
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True).returncode != 0:
        pytest.skip("this Python has no pip")
    room = tmp_path / "site"
    install = [*pip, "install", "--no-index", "--no-deps", "--disable-pip-version-check", "--target", room, wheel]
    ran = subprocess.run(install, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    serves(room)


def test_an_unpacked_layer_serves(tmp_path: pathlib.Path) -> None:
    with zipfile.ZipFile(built("examples/lambda_host/build_layer", tmp_path)) as layer:
        layer.extractall(tmp_path / "opt")
    serves(tmp_path / "opt/python")


def test_a_layer_tells_which_c_library_it_needs(tmp_path: pathlib.Path) -> None:
    ran = subprocess.run(
        [SOURCE / "examples/lambda_host/build_layer", "--library", os.environ["CELLROUTE_PACKAGED_LIBRARY"],
         "--out", tmp_path], capture_output=True, text=True, check=True)
    told = re.search(r"glibc 2\.(\d+) or later", ran.stderr)
    assert told is not None and 17 < int(told[1]) <= AMAZON_LINUX_2023


def test_an_unpacked_function_serves_with_its_own_c_library(tmp_path: pathlib.Path) -> None:
    with LoopbackCell() as cell:
        topology = tmp_path / "shop.yaml"
        topology.write_bytes(shop({"shop-1": cell.url}))
        subprocess.run(
            [SOURCE / "examples/lambda_host/build_function", "shop_front", "--out", tmp_path,
             "--program", os.environ["CELLROUTE_SHOP_FRONT"], f"{topology}=topology.yaml"],
            check=True, capture_output=True)
        task = tmp_path / "task"
        subprocess.run(["/usr/bin/python3", "-m", "zipfile", "-e", tmp_path / "shop_front.zip", task], check=True)
        with zipfile.ZipFile(tmp_path / "shop_front.zip") as package:
            modes = {member.filename: member.external_attr >> 16 for member in package.infolist()}
        for name, mode in modes.items():
            (task / name).chmod(mode)
        with function([str(task / "bootstrap")], LAMBDA_TASK_ROOT=str(task)) as front:
            assert front.invoke(event("ecommerce_lambda", "rest_get")).value["statusCode"] == 200
            maps = pathlib.Path(f"/proc/{front.process.pid}/maps").read_text()
    files = {line.split()[-1] for line in maps.splitlines() if " /" in line}
    assert files and all(file.startswith(str(task)) for file in files)
    assert len(cell.asked) == 1


def test_what_is_no_library_makes_no_wheel(tmp_path: pathlib.Path) -> None:
    needs_runtime = pathlib.Path(os.environ["CELLROUTE_LIBRARY"])
    for library in (tmp_path / "none.so", SOURCE / "LICENSE", needs_runtime):
        ran = subprocess.run(
            [SOURCE / "bindings/python/build_wheel", "--library", library, "--out", tmp_path],
            capture_output=True, text=True)
        assert ran.returncode != 0
    assert not list(tmp_path.glob("*.whl"))
