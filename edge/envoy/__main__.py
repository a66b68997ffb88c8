"""python -m edge.envoy: writes the bootstrap, then becomes Envoy."""

import os

from edge.config import ENVOY_ADMIN_PORT, XDS_PORT, Config
from edge.envoy import binary
from edge.envoy.bootstrap import Proxy, bootstrap
from shared.runtime import pki


def main() -> None:
    config = Config.from_env()
    pki.ensure(config.home, ["envoy"])
    folder = config.home / "envoy"
    folder.mkdir(parents=True, exist_ok=True)
    proxy = Proxy(
        node_id=config.instance.replace("edge", "envoy", 1),
        admin=("127.0.0.1", ENVOY_ADMIN_PORT + config.offset),
        xds=((config.connect_host, XDS_PORT + config.offset),),
        ca_pem=pki.ca_path(config.home),
        cert_pem=pki.cert_path(config.home, "envoy"),
        key_pem=pki.key_path(config.home, "envoy"),
        region_id=config.region_id,
    )
    path = folder / "bootstrap.pb"
    path.write_bytes(bytes(bootstrap(proxy)))
    executable = os.fspath(binary.path())
    # A worker a core; two platforms on one machine must not share Envoy's shared memory, hence the dynamic base id.
    os.execv(
        executable,
        [
            executable,
            *("-c", os.fspath(path)),
            *("--concurrency", str(os.cpu_count() or 1)),
            *("--log-level", config.log_level),
            # Who reads along sees a request within a second, not within ten.
            *("--file-flush-interval-msec", "1000"),
            *("--drain-time-s", "5", "--parent-shutdown-time-s", "10"),
            "--use-dynamic-base-id",
        ],
    )


if __name__ == "__main__":
    main()
