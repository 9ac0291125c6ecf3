"""The server that mpflags talks to in Mixpanel's tests, and `respx` for setting its responses.

Mixpanel's tests answer the requests of `httpx` with `respx`. mpflags does not use `httpx`, so a real server on loopback gives the
same responses. The first part of a path names the client, as in `/3/flags/definitions`.
"""

from __future__ import annotations

import gzip
import http.server
import itertools
import json
import threading
import time
import types
import urllib.parse

import httpx

#: The responses of the running test, by path.
routes = {}
clients = []


class Traffic:
    """What one client sends."""

    def __init__(self, on_event, on_fetched):
        self.on_event = on_event
        self.on_fetched = on_fetched
        self.host = f"http://127.0.0.1:{server.server_port}/{len(clients)}"
        #: Of each GET: the query, and the headers.
        self.requests = []
        self.connections = set()
        clients.append(self)

    def is_closed(self):
        """Whether its connections are closed, or about to be."""
        end = time.monotonic() + 0.2
        while self.connections and time.monotonic() < end:
            time.sleep(0.01)
        return not self.connections


class Route:
    def mock(self, return_value=None, side_effect=None):
        if side_effect is None or isinstance(side_effect, Exception):
            side_effect = itertools.repeat(side_effect or return_value)
        self.responses = side_effect


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def client(self):
        _, number, path = urllib.parse.urlsplit(self.path).path.split("/", 2)
        self.traffic = clients[int(number)]
        self.traffic.connections.add(self)
        return self.traffic, "/" + path

    def do_GET(self):
        traffic, path = self.client()
        if path == "/flags/definitions" and traffic.requests:
            # The client has finished with the previous response.
            traffic.on_fetched()
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        traffic.requests.append((query, self.headers))
        respx.calls.last = types.SimpleNamespace(request=types.SimpleNamespace(url=self.path))
        response = next(routes[path].responses) if path in routes else httpx.Response(404)
        if isinstance(response, Exception):
            self.close_connection = True
        else:
            self.respond(response.status_code, response.content)

    def do_POST(self):
        traffic, _ = self.client()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        for event in json.loads(body):
            traffic.on_event(event["properties"]["distinct_id"], event["event"], event["properties"])
        self.respond(200, b'{"status": 1, "error": null}')

    def respond(self, status, content):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def finish(self):
        super().finish()
        self.traffic.connections.discard(self)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()

respx = types.ModuleType("respx")
respx.mock = lambda function: function
respx.get = lambda url: routes.setdefault(urllib.parse.urlsplit(url).path, Route())
respx.calls = types.SimpleNamespace(last=None)


def forget():
    """Before each test."""
    routes.clear()
    respx.calls.last = None
