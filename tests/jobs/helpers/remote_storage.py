"""Remote storages for tests, and their retry options."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from dataclasses import dataclass

from web_server import Answer, WebServer

from core.retrying import Backoff
from jobs.sources.remote.options import RemoteOptions

OPTIONS = RemoteOptions(timeout_s=40.0, backoff=Backoff(retries=6, first_s=0.001, longest_s=0.05))
"""Long time-outs for a busy machine, with short retry delays."""
IMPATIENT = RemoteOptions(timeout_s=1.5, backoff=OPTIONS.backoff)
"""For servers that do not respond."""
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

    def make_bucket(self) -> None:
        """Make the bucket of `base`."""
        bucket = self.base.partition("://")[2]
        if self.kind == "gs":
            content = json.dumps({"name": bucket}).encode()
            self._send("POST", "/storage/v1/b", content, {"Content-Type": "application/json"})
        else:
            self._send("PUT", f"/{bucket}", b"", {"Authorization": _SIGNED})

    def put(self, path: str, content: bytes) -> str:
        """Store an object; its URL."""
        if self.kind == "http":
            self.server.files[path] = content
            return f"{self.base}{path}?X-Amz-Signature={SECRETS[1]}"
        bucket, name = self.base.partition("://")[2], urllib.parse.quote(path)
        if self.kind == "gs" and not content:  # which the emulator takes only as the sum of no objects
            parts = json.dumps({"destination": {}, "sourceObjects": []}).encode()
            place = f"/storage/v1/b/{bucket}/o{name}/compose"
            self._send("POST", place, parts, {"Content-Type": "application/json"})
            return self.base + path
        place = f"/{bucket}{name}"
        # Moto waits for the rest of what it takes for a form, and checks no signature.
        self._send("PUT", place, content, {"Content-Type": "application/octet-stream", "Authorization": _SIGNED})
        return self.base + path

    def _send(self, method: str, place: str, content: bytes, headers: dict[str, str]) -> None:
        """Send a request to the storage itself, without the server in front."""
        assert self.server.origin is not None
        host, port = self.server.origin
        request = urllib.request.Request(f"http://{host}:{port}{place}", content, headers, method=method)
        urllib.request.urlopen(request, timeout=60).close()


class GoogleServer(WebServer):
    """In front of an emulator that has the generations of objects, but reads always the last one."""

    def answer(self, method: str, target: str, headers: dict[str, str]) -> Answer:
        """See `WebServer.answer`; where another generation is asked for, there is nothing."""
        answer = super().answer(method, target, headers)
        path, _, query = target.partition("?")
        if wanted := urllib.parse.parse_qs(query).get("generation"):
            about = super().answer("GET", path.removeprefix("/download"), {})
            found = json.loads(about.body)["generation"] if about.status == 200 else None
            if [found] != wanted:
                return Answer(404, {}, b"no such generation")
            answer.headers["x-goog-generation"] = wanted[0]
        return answer


def environment_of(server_of_s3: WebServer) -> dict[str, str]:
    """The usual variables, which lead to that server."""
    return {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server_of_s3.url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
