"""The command `center` in a process of its own, forked from one that has imported the libraries already: starting
Python and them is most of what a command costs, and the tests run hundreds."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# What the command imports and does not own: its own modules look at the environment when they are imported.
_LIBRARIES = [
    "cryptography.x509",
    "google.protobuf.json_format",
    "grpc.aio",
    "rich.markdown",
    "rich.progress",
    "rich.table",
    "shared.platform.client",
    "typer.main",
    "typer.rich_utils",
]
_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(_LIBRARIES)


def center(
    environment: Mapping[str, str], arguments: Sequence[str], within_s: float
) -> subprocess.CompletedProcess[str]:
    """What `center arguments...` says and how it ends. TimeoutExpired after so many seconds, and then it is killed."""
    with tempfile.TemporaryDirectory() as folder:
        said = [Path(folder, name) for name in ("out", "err")]
        process = _forking.Process(target=_run, args=(dict(environment), list(arguments), *map(str, said)))
        process.start()
        process.join(within_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(arguments), within_s, *(path.read_bytes() for path in said))
        out, err = (path.read_text() for path in said)
        return subprocess.CompletedProcess(list(arguments), process.exitcode, out, err)


def _run(environment: dict[str, str], arguments: list[str], out: str, err: str) -> None:
    for number, path in ((0, os.devnull), (1, out), (2, err)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["center", *arguments]
    from shared.cli.main import main

    main()
