"""Loading the library: where it is looked for, and what is said when it is not there."""

from __future__ import annotations

import os
import pathlib
import shutil

import cellroute
from conftest import run_python


def test_a_missing_library_is_told_with_its_place_and_a_remedy(tmp_path: pathlib.Path) -> None:
    ran = run_python("import cellroute", CELLROUTE_LIBRARY=f"{tmp_path}/none.so")
    assert ran.returncode != 0
    assert "LibraryError" in ran.stderr
    assert f"{tmp_path}/none.so: no such file" in ran.stderr
    assert "bindings/python/build_wheel" in ran.stderr
    assert "CELLROUTE_LIBRARY" in ran.stderr


def test_without_the_variable_every_place_is_named(tmp_path: pathlib.Path) -> None:
    package = pathlib.Path(cellroute.__file__).parent
    shutil.copytree(package, tmp_path / "cellroute", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    ran = run_python("import cellroute", CELLROUTE_LIBRARY="", PYTHONPATH=str(tmp_path))
    assert f"{tmp_path}/cellroute/libcellroute.so: no such file" in ran.stderr
    assert "libcellroute.so.0" in ran.stderr


def test_another_library_is_told_apart() -> None:
    ran = run_python("import cellroute", CELLROUTE_LIBRARY=_some_library())
    assert "is another library: it has no cellroute_abi_check" in ran.stderr


def test_a_library_of_another_interface_is_refused() -> None:
    ran = run_python(
        "import cellroute._library as library\nlibrary.ABI_VERSION = 9 << 16\nlibrary.load()",
    )
    assert "LibraryError" in ran.stderr or "has interface" in ran.stderr


def test_a_missing_library_is_an_import_error(tmp_path: pathlib.Path) -> None:
    ran = run_python(
        "try:\n    import cellroute\nexcept ImportError:\n    print('told')",
        CELLROUTE_LIBRARY=f"{tmp_path}/none.so")
    assert ran.stdout == "told\n"


def test_the_library_that_was_named_is_the_one_that_serves() -> None:
    assert cellroute.library_path == os.path.abspath(os.environ["CELLROUTE_LIBRARY"])


def test_version_is_that_of_the_release() -> None:
    assert cellroute.__version__.count(".") == 2


def _some_library() -> str:
    """A shared library that is surely there: an extension module of Python itself."""
    import _ctypes

    return str(_ctypes.__file__)
