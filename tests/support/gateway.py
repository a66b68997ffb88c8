"""A real HTTP server of the tests' own, as a provider of SMS and push has: it takes messages or answers as told to."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Gateway:
    """answers: status, headers and body of the next ones; `cut` ends the connection instead. A key that came before is
    one message."""

    answers: list[tuple[int, dict[str, str], bytes] | str] = field(default_factory=list)
    requests: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    delay_s: float = 0.0

    @property
    def messages(self) -> dict[str, dict[str, Any]]:
        """By idempotency key."""
        return {headers["idempotency-key"]: body for headers, body in self.requests}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/messages"

    def start(self) -> None:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                time.sleep(gateway.delay_s)
                answer = gateway.answers.pop(0) if gateway.answers else (200, {}, b'{"id": "p-1"}')
                if isinstance(answer, str):
                    self.close_connection = True
                    self.connection.close()
                    return
                status, headers, content = answer
                if status < 300:
                    gateway.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
