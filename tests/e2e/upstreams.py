"""Upstreams that the mock cannot play: recording bytes, keeping a script, not there, never accepting, TLS."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme
from harness import Json

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Seen:
    """A request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes


class JsonHandler(BaseHTTPRequestHandler):
    """What reads requests and answers them in JSON, for upstreams that decide for themselves what to say."""

    protocol_version = "HTTP/1.1"

    def asked(self) -> Json:
        """The body of the request."""
        return json.loads(self.rfile.read(int(self.headers["content-length"])))

    def answer(self, status: int, body: Json) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def answer_chat(self, model: str) -> None:
        """A chat's answer, of the same few tokens each time."""
        message = {"role": "assistant", "content": "hello"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": model}
        self.answer(200, body | {"choices": [choice], "usage": usage})

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def listening(handler: type[JsonHandler]) -> Iterator[str]:
    """A server of such requests; where it is."""
    with ThreadingHTTPServer((LOOPBACK, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{LOOPBACK}:{server.server_port}/v1"
        server.shutdown()


@dataclass
class Recorder:
    """An upstream that keeps every request byte for byte and answers with the bytes it was given."""

    answer: bytes = b""
    content_type: str = "application/json"
    seen: list[Seen] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server((LOOPBACK, 0)))

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self.listener.getsockname()[1]}/v1"

    def says(self, answer: object, content_type: str = "application/json") -> None:
        """What the next requests are answered with: bytes, or something to write as JSON."""
        self.answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.content_type = content_type

    def serve(self) -> None:
        """Answers requests, one connection each, until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, connection.makefile("rb") as stream:
                    line, *rest = iter(lambda: stream.readline().decode().strip(), "")
                    headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in rest)}
                    self.seen.append(Seen(line, headers, stream.read(int(headers.get("content-length", 0)))))
                    head = f"HTTP/1.1 200 OK\r\ncontent-type: {self.content_type}\r\nconnection: close\r\n\r\n"
                    connection.sendall(head.encode() + self.answer)


@contextlib.contextmanager
def recorder() -> Iterator[Recorder]:
    """A running recorder."""
    upstream = Recorder()
    thread = threading.Thread(target=upstream.serve, daemon=True)
    thread.start()
    yield upstream
    # Closing alone does not wake the thread that accepts.
    upstream.listener.shutdown(socket.SHUT_RDWR)
    upstream.listener.close()
    thread.join()


#: What an upstream does in turn: send these bytes as one chunk, or wait so many seconds unless the caller leaves.
Script = Sequence[bytes | float]


@dataclass
class Scripted:
    """An upstream that answers each model by its script, keeps connections open, and counts them and its answers."""

    scripts: dict[str, Script]
    connections: int = 0
    answers: int = 0
    listener: socket.socket = field(default_factory=lambda: socket.create_server((LOOPBACK, 0)))

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self.listener.getsockname()[1]}/v1"

    def serve(self) -> None:
        """Takes connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        """Plays one script a request."""
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while lines := list(iter(lambda: stream.readline().decode().strip().lower(), "")):
                length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
                call = json.loads(stream.read(length))
                kind = "text/event-stream" if call.get("stream") else "application/json"
                head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
                connection.sendall(head.encode())
                for step in self.scripts[call["model"]]:
                    if isinstance(step, bytes):
                        connection.sendall(b"%x\r\n%s\r\n" % (len(step), step))
                    else:
                        select.select([connection], [], [], step)
                connection.sendall(b"0\r\n\r\n")
                self.answers += 1


@contextlib.contextmanager
def scripted(scripts: dict[str, Script]) -> Iterator[Scripted]:
    """A running upstream with these scripts."""
    upstream = Scripted(scripts)
    threading.Thread(target=upstream.serve, daemon=True).start()
    yield upstream
    upstream.listener.shutdown(socket.SHUT_RDWR)
    upstream.listener.close()


@contextlib.contextmanager
def closed_port() -> Iterator[str]:
    """An address that refuses connections, and that nobody else can take meanwhile."""
    with socket.socket() as bound:
        bound.bind((LOOPBACK, 0))
        yield f"http://{LOOPBACK}:{bound.getsockname()[1]}/v1"


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """An address where connecting never ends: its queue is full and nobody accepts."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}/v1"


@dataclass
class Terminator:
    """TLS in front of a plain upstream: decrypts, and passes bytes on as they come."""

    upstream: tuple[str, int]
    context: ssl.SSLContext
    listener: socket.socket = field(default_factory=lambda: socket.create_server((LOOPBACK, 0)))
    agreed: list[str | None] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"https://localhost:{self.listener.getsockname()[1]}/v1"

    def serve(self) -> None:
        """Takes connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.relay, args=(connection,), daemon=True).start()

    def relay(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), self.context.wrap_socket(connection, server_side=True) as client:
            self.agreed.append(client.selected_alpn_protocol())
            with socket.create_connection(self.upstream) as server:
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Copies until one side ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def tls(upstream: str, authority: Path, protocols: list[str]) -> Iterator[Terminator]:
    """A running terminator in front of `upstream`; writes its certificate authority into a file."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(protocols)
    ca.issue_cert("localhost").configure_cert(context)
    host, port = upstream.removeprefix("http://").removesuffix("/v1").split(":")
    terminator = Terminator((host, int(port)), context)
    threading.Thread(target=terminator.serve, daemon=True).start()
    yield terminator
    terminator.listener.shutdown(socket.SHUT_RDWR)
    terminator.listener.close()
