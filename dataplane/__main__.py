"""The process of one cluster: CENTER_CLUSTER=eu-1 python -m dataplane."""

import ctypes
from contextlib import suppress

from dataplane.app import running
from dataplane.config import Config
from shared.runtime import telemetry
from shared.runtime.rpc.process import run

# mallopt(3): blocks of this size and more have pages of their own, which go back as soon as they are free. By itself
# glibc raises the limit to the largest block that was ever freed, and a process that has passed a few parts of files on
# keeps the room of them all: 54 MiB for an upload of 100 MB, and 21 with this.
_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 256 << 10


def main() -> None:
    with suppress(AttributeError, OSError):  # another C library has another way
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    config = Config.from_env()
    telemetry.configure(
        f"cluster/{config.cluster_id}",
        log_format=config.log_format,
        level=config.log_level,
        otlp_endpoint=config.otlp_endpoint,
    )
    run(lambda: running(config))


if __name__ == "__main__":
    main()
