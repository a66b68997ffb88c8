"""The SDK's wheel stands by itself: it needs nothing of the platform but the contracts that it brings."""

import subprocess
import sys
from pathlib import Path

SDK = Path(__file__).parents[3] / "shared" / "sdk"

_IMPORTS = """
import pkgutil, sys
sys.path.insert(0, sys.argv[1])
import center_sdk
for module in pkgutil.iter_modules(center_sdk.__path__):
    __import__(f"center_sdk.{module.name}")
ours = {"center", "center_sdk", "shared", "control", "dataplane", "edge", "analytics"}
for name, module in sorted(sys.modules.items()):
    if name.partition(".")[0] in ours:
        assert module.__file__.startswith(sys.argv[1]), (name, module.__file__)
print(center_sdk.Validator.__name__)
"""


def test_the_wheel_has_all_that_it_imports(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, SDK]
    subprocess.run(build, check=True)
    [wheel] = tmp_path.glob("center_sdk-*.whl")
    unpacked = tmp_path / "unpacked"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, unpacked], check=True)
    assert (unpacked / "center_sdk" / "py.typed").exists()
    ran = subprocess.run(
        [sys.executable, "-I", "-c", _IMPORTS, unpacked], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert ran.stdout.split() == ["Validator"], ran.stderr
