"""Remote storages for tests, and their retry options."""

from __future__ import annotations

import urllib.parse
import urllib.request
from dataclasses import dataclass

from web_server import WebServer

from core.retrying import Backoff
from jobs.sources.remote.options import RemoteOptions

OPTIONS = RemoteOptions(timeout_s=40.0, backoff=Backoff(retries=6, first_s=0.001, longest_s=0.05))
"""Patient with a machine that has other things to do, but quick to try again."""
IMPATIENT = RemoteOptions(timeout_s=1.5, backoff=OPTIONS.backoff)
"""For servers that say nothing."""
SECRETS = ("s3cret-password", "s1gnature")

_SIGNED = "AWS4-HMAC-SHA256 Credential=key/20240101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage for the objects of a test, and the server in front of it.

    :param base: what their URLs begin with, secrets included.
    :param shown: what messages say instead.
    """

    kind: str
    server: WebServer
    base: str
    shown: str

    def put(self, path: str, content: bytes) -> str:
        """Store an object; its URL."""
        if self.kind == "s3":
            assert self.server.origin is not None
            host, port = self.server.origin
            place = f"http://{host}:{port}/{self.base[len('s3://') :]}{urllib.parse.quote(path)}"
            # Moto waits for the rest of what it takes for a form, and checks no signature.
            headers = {"Content-Type": "application/octet-stream", "Authorization": _SIGNED}
            request = urllib.request.Request(place, content, headers, method="PUT")
            urllib.request.urlopen(request, timeout=60).close()
            return self.base + path
        self.server.files[path] = content
        return f"{self.base}{path}?X-Amz-Signature={SECRETS[1]}"


def environment_of(server_of_s3: WebServer) -> dict[str, str]:
    """The usual variables, which lead to that server."""
    return {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server_of_s3.url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
