"""A program of somebody else's: the stock flagd provider in in-process mode, with a certificate and nothing of ours.

A process of its own: two copies of flagd's contract cannot be in one. Arguments: host, port, selector, folder of
the certificates, identity. For each line of JSON on its input (flag, default) it writes one with the answer; events it
writes as they come.
"""

import json
import sys
from pathlib import Path
from typing import Any

import grpc
from openfeature import api
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.event import EventDetails, ProviderEvent


def tell(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def heard(event: ProviderEvent) -> Any:
    def handler(details: EventDetails) -> None:
        tell(event=event.value, flags=sorted(details.flags_changed or ()))

    return handler


def main() -> None:
    host, port, selector, folder, identity = sys.argv[1:]
    pem = {name: (Path(folder) / name).read_bytes() for name in ("ca.pem", f"{identity}.pem", f"{identity}.key")}
    credentials = grpc.ssl_channel_credentials(pem["ca.pem"], pem[f"{identity}.key"], pem[f"{identity}.pem"])
    provider = FlagdProvider(
        host=host,
        port=int(port),
        selector=selector,
        resolver_type=ResolverType.IN_PROCESS,
        channel_credentials=credentials,
        retry_backoff_ms=100,
        retry_backoff_max_ms=100,
    )
    api.set_provider(provider)
    # Not before: the provider that does nothing is ready already, and would say so.
    for event in ProviderEvent:
        api.add_handler(event, heard(event))
    client = api.get_client()
    resolve = {
        bool: client.get_boolean_details,
        str: client.get_string_details,
        int: client.get_integer_details,
        float: client.get_float_details,
        dict: client.get_object_details,
    }
    for line in sys.stdin:
        asked = json.loads(line)
        details = resolve[type(asked["default"])](asked["flag"], asked["default"])
        tell(
            flag=asked["flag"],
            value=details.value,
            variant=details.variant,
            reason=details.reason,
            error=details.error_code.value if details.error_code is not None else "",
            metadata=dict(details.flag_metadata),
        )
    api.shutdown()


if __name__ == "__main__":
    main()
