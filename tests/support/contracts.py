"""Every contract of the platform, read from the image that Envoy and buf read."""

from collections.abc import Iterator
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor

import center


def services(*packages: str) -> Iterator[ServiceDescriptor]:
    """Those of the packages; all of ours where none is named."""
    image = Path(center.__file__).parent / "image.binpb"
    pool = descriptor_pool.Default()
    for file in descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes()).file:
        if not file.package.startswith(packages or "center."):
            continue
        # The generated module puts the file into the pool that the servers use.
        __import__(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
        yield from pool.FindFileByName(file.name).services_by_name.values()
