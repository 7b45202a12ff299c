import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what git knows, so that no build folder is left here."""
    copy, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    archive = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    listed = archive.stdout.decode().rstrip("\0").split("\0")
    for name in (
        one for one in listed if one.startswith(("src/", "pyproject", "README", "LICENSE"))
    ):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command = [sys.executable, "-m", "pip", *build, "--wheel-dir", str(output), str(copy)]
    subprocess.run(command, check=True, timeout=300)
    (path,) = output.glob("*.whl")
    return path


def test_the_wheel_holds_the_product_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"evenkeel"}


# The libraries come from this environment, and nothing of ours: only `site` reads its .pth files.
IMPORT_ALL = """
import importlib, pkgutil, sys
import evenkeel
sys.path += sys.argv[1:]
for module in pkgutil.walk_packages(evenkeel.__path__, "evenkeel."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        assert sys.modules[module.name].__file__.startswith(sys.prefix), module.name
assert "evenkeel_proof" not in sys.modules
"""


def test_the_wheel_installs_and_imports_in_an_empty_environment(
    wheel: Path, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "empty"], check=True, timeout=300)
    python = tmp_path / "empty" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, timeout=300)
    command = [python, "-I", "-c", IMPORT_ALL, sysconfig.get_path("purelib")]
    done = subprocess.run(command, capture_output=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
