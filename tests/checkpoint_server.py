"""A server on this machine that sends a checkpoint, as a web server does."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 8000


class Server(ThreadingHTTPServer):
    """Sends CONTENT, or the end of it that is asked for.

    Holds back what follows the first `held_after` bytes until it is released.
    """

    def __init__(self):
        self.held_after = len(CONTENT)
        self.released = threading.Event()
        self.knows_ranges = True
        self.is_busy = False
        self.requests = 0
        self.sent = 0
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        if self.path != "/c.pt":
            self.send_error(404)
            return
        if self.server.is_busy:
            self.send_error(503)
            return
        wanted = self.headers.get("Range") if self.server.knows_ranges else None
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        if wanted:
            last = len(CONTENT) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        part = CONTENT[start : max(self.server.held_after, start)]
        self.server.sent += len(part)
        self.wfile.write(part)
        if self.server.held_after < len(CONTENT):
            self.server.released.wait(20)

    def log_message(self, *args):
        pass
