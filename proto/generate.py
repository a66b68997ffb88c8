"""Generates proto/gen from the contracts: stubs, types and one image of all descriptors, with no network.

Everything that our contracts import comes out of installed wheels:

- google/api, google/rpc, google/type: text in googleapis-common-protos.
- google/longrunning/operations.proto: the same wheel's operations_proto.proto, under its canonical name. Its Python
  module is `google.longrunning.operations_proto_pb2`; `operations_pb2` is another, older copy whenever xds-protos is
  installed beside it, and a process cannot load both. So the stubs, and all code that uses Operation, take the first.
- buf/validate/validate.proto: only as a descriptor, inside protovalidate. Its module is generated as
  `center.buf.validate.validate_pb2`, because a wheel of ours must not own the top-level name `buf`.

flagd's contract is not ours, but its text is in proto/flagd; its stubs are below `center`, like those of buf.validate.

The image holds imports and source positions. buf lints it and compares it, Envoy transcodes by it, tests read it, and
the OpenAPI descriptions of what a shop's domain speaks are made of it.
"""

import argparse
import filecmp
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from protovalidate._gen.buf.validate import validate_pb

PROTO = Path(__file__).resolve().parent
COMMITTED = PROTO / "gen" / "center"
IMAGE = "image.binpb"
SITE = Path(sysconfig.get_paths()["purelib"])

IMPORTS = [
    (re.compile(rb"^from buf\.validate import", re.M), b"from center.buf.validate import"),
    (re.compile(rb"^from flagd\.sync\.v1 import", re.M), b"from center.flagd.sync.v1 import"),
    (
        re.compile(rb"^from google\.longrunning import operations_pb2 as", re.M),
        b"from google.longrunning import operations_proto_pb2 as",
    ),
]


def protoc(*args: str | Path) -> None:
    # The mypy_grpc plugin stands beside the interpreter, which need not be on the PATH.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [sys.executable, "-m", "grpc_tools.protoc", *map(str, args)]
    subprocess.run(command, check=True, cwd=PROTO, env={**os.environ, "PATH": path})


def lay_out_imports(include: Path) -> None:
    """Writes the text of every importable google proto below `include`, under its canonical name."""
    for package in ("google/api", "google/rpc", "google/type"):
        for source in (SITE / package).rglob("*.proto"):
            target = include / source.relative_to(SITE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    longrunning = include / "google/longrunning"
    longrunning.mkdir(parents=True)
    shutil.copyfile(SITE / "google/longrunning/operations_proto.proto", longrunning / "operations.proto")
    wellknown = Path(grpc_tools.__file__).parent / "_proto"
    shutil.copytree(wellknown, include, dirs_exist_ok=True)


def write_validate_descriptors(path: Path) -> None:
    """The buf.validate options, with what they import, as the FileDescriptorSet that protoc reads."""
    files = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        files.file.add().ParseFromString(module.DESCRIPTOR.serialized_pb)
    files.file.add().ParseFromString(validate_pb._DESC.proto.to_binary())
    path.write_bytes(files.SerializeToString(deterministic=True))


def protos(package: str) -> list[str]:
    return sorted(path.relative_to(PROTO).as_posix() for path in (PROTO / package).rglob("*.proto"))


def generate(out: Path) -> None:
    """Writes the whole package `center` below `out`."""
    sources, foreign = protos("center"), protos("flagd")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        include, validate = Path(scratch) / "include", Path(scratch) / "validate.binpb"
        lay_out_imports(include)
        write_validate_descriptors(validate)
        paths = (f"--descriptor_set_in={validate}", f"-I{PROTO}", f"-I{include}")
        center = out / "center"
        center.mkdir()
        if sources:
            for root, contracts in ((out, sources), (center, foreign)):
                protoc(
                    *paths,
                    f"--python_out={root}",
                    f"--pyi_out={root}",
                    f"--grpc_python_out={root}",
                    f"--mypy_grpc_out=quiet:{root}",
                    *contracts,
                )
            protoc(
                *paths,
                "--include_imports",
                "--include_source_info",
                f"--descriptor_set_out={center / IMAGE}",
                # Nothing imports the error details, but Envoy needs them to turn a status into JSON.
                "google/rpc/error_details.proto",
                *sources,
                *foreign,
            )
        protoc(*paths, f"--python_out={center}", f"--pyi_out={center}", "buf/validate/validate.proto")
    for path in sorted(center.rglob("*.py*")):
        text = path.read_bytes()
        for pattern, replacement in IMPORTS:
            text = pattern.sub(replacement, text)
        path.write_bytes(text)
    # Without these any folder named `center` on the path would take the package's place.
    for folder in (center, *(p for p in center.rglob("*") if p.is_dir())):
        (folder / "__init__.py").touch()
    (center / "py.typed").touch()
    describe(center)


def describe(center: Path) -> None:
    """Writes the OpenAPI descriptions, in a process that sees the options just generated and no older ones."""
    environment = {**os.environ, "PYTHONPATH": str(center.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, PROTO / "openapi.py", center], check=True, env=environment)


def differences(made: Path, committed: Path) -> list[str]:
    """Paths, relative to the package, that differ or stand in one tree only."""
    trees = [
        {p.relative_to(root): p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
        for root in (made, committed)
    ]
    return sorted(
        str(name)
        for name in trees[0].keys() | trees[1].keys()
        if name not in trees[0] or name not in trees[1] or not filecmp.cmp(trees[0][name], trees[1][name], False)
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true", help="write nothing; fail if what is committed is stale")
    check = arguments.parse_args().check
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "gen"
        generate(made)
        stale = differences(made / "center", COMMITTED)
        if check:
            if stale:
                print("stale, run `make generate`:", *stale, sep="\n  ")
            return 1 if stale else 0
        for name in stale:
            source, target = made / "center" / name, COMMITTED / name
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
            else:
                target.unlink()
        print(f"proto/gen: {len(stale)} files changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
