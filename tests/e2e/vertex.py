"""Google Cloud's side of Vertex AI: service accounts, and an endpoint for their tokens that google-auth judges."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from harness import HTTP, Json, Provider

PROJECT = "tests-123456"
LOCATION = "europe-west1"
EMAIL = f"gateway@{PROJECT}.iam.gserviceaccount.com"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Account:
    """A service account: a key, and the file that the console would write of it."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        encoding, plain = serialization.Encoding, serialization.NoEncryption()
        self.private = key.private_bytes(encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()
        public = key.public_key()
        subject = serialization.PublicFormat.SubjectPublicKeyInfo
        self.public = public.public_bytes(encoding.PEM, subject)
        #: As the mock's token endpoint is told it.
        self.query = base64.urlsafe_b64encode(public.public_bytes(encoding.DER, subject)).decode().rstrip("=")

    def file(self, folder: Path, name: str, token_uri: str, private: str | None = None) -> Path:
        """The key file, as far as it can be for a project that is none; `private` is another account's key."""
        path = folder / f"{name}.json"
        written = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "0123abcd",
            "private_key": private or self.private,
            "client_email": EMAIL,
            "token_uri": token_uri,
        }
        path.write_text(json.dumps(written))
        return path


@dataclass
class Judge:
    """A token endpoint in front of the mock's. It checks each request as google-auth reads it, and fails as it is told."""

    mock: str
    account: Account
    #: Seconds that the tokens live.
    life: int = 3_599
    #: What the next requests are answered with, instead of a token: a status and a body, or seconds of silence.
    fails: tuple[int, Json] | float | None = None
    asked: list[Json] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        judge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, answer = judge.answer(self.path, self.headers["content-type"], self.headers["host"], body)
                text = json.dumps(answer).encode()
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def token_uri(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/token?key={self.account.query}&expires_in={self.life}"

    def answer(self, path: str, kind: str, host: str, body: bytes) -> tuple[int, Json]:
        form = urllib.parse.parse_qs(body.decode(), strict_parsing=True)
        assertion = form["assertion"][0]
        try:
            assert kind == "application/x-www-form-urlencoded" and form["grant_type"] == [GRANT]
            address = f"http://{host}{path}"
            claims, good = jwt.decode(assertion, certs=self.account.public, audience=address), True
        except (AssertionError, ValueError) as error:
            self.errors.append(str(error))
            claims, good = jwt.decode(assertion, verify=False), False
        header = jwt.decode_header(assertion)
        self.asked.append({"header": header, "claims": claims, "assertion": assertion, "good": good})
        if isinstance(self.fails, tuple):
            return self.fails
        if self.fails:
            time.sleep(self.fails)
            return 503, {}
        # The mock takes the audience from the host that was asked.
        url = self.mock.removesuffix("/v1") + path
        told = HTTP.post(url, content=body, headers={"content-type": kind, "host": host})
        answer: Json = told.json()
        self.tokens.append(answer.get("access_token", ""))
        return told.status_code, answer


@contextlib.contextmanager
def judging(mock: str, account: Account, life: int = 3_599) -> Iterator[Judge]:
    """A running token endpoint."""
    judge = Judge(mock, account, life)
    threading.Thread(target=judge.server.serve_forever, daemon=True).start()
    yield judge
    judge.server.shutdown()
    judge.server.server_close()


@dataclass(frozen=True)
class Vertex(Provider):
    """A provider at Vertex AI."""

    kind: str = "vertex"
    credential: str = 'credential = "metadata"'
    place: str = f'project = "{PROJECT}"\nlocation = "{LOCATION}"'

    def toml(self) -> str:
        return super().toml().replace('api_key = "env:UPSTREAM_KEY"', f"{self.place}\n{self.credential}")


def by_account(file: Path) -> str:
    """The setting that names a key file."""
    return f'service_account = "file:{file}"'
