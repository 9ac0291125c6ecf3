"""The caches under test: nginx, and Varnish between hitch and stunnel, each with the files of packaging/fleet.

Only what differs from one machine to another is replaced in them: ports, paths, names, certificates and times. A planted mistake is
one more replacement.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

FILES = Path(__file__).resolve().parent.parent / "packaging" / "fleet"

# The mistakes that the run has to find: the file, what is replaced by what, and what the run says of it.
PLANTED = {
    "uncollapsed": ("nginx.conf", "proxy_cache_lock on;", "proxy_cache_lock off;", "when the clients started together"),
    "shared": ("nginx.conf", '"$http_authorization $arg_token $arg_project_id"', '"everybody"', "other credentials get"),
    "token-in-log": ("nginx.conf", "$request_method $uri", "$request", "contains credentials"),
    "token-in-key": ("nginx.conf", '"$credentials $coding"', '"$http_authorization $arg_token $arg_project_id $coding"', "contains credentials"),
    "kept-refusals": ("nginx.conf", "proxy_cache_valid 200 60s;", "proxy_cache_valid any 60s;", "was kept"),
    "not-stale": ("nginx.conf", "updating error timeout invalid_header", "updating", "not all clients have version"),
    "buffered": ("nginx.conf", "proxy_request_buffering off;", "proxy_request_buffering on;", "is kept until it is complete"),
    "unverified": ("nginx.conf", "proxy_ssl_verify on;", "proxy_ssl_verify off;", "not trusted was asked"),
}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def adapt(name, folder, replacements, plant=None):
    """A copy of a file with replacements, each of which has to apply."""
    text = (FILES / name).read_text()
    planted = [PLANTED[plant][1:3]] if plant and PLANTED[plant][0] == name else []
    for old, new in [*planted, *replacements]:
        if old not in text:
            raise SystemExit(f"fleet: packaging/fleet/{name} does not contain {old!r}")
        text = text.replace(old, new)
    path = folder / name
    path.write_text(text)
    return path


def certificate(folder, name):
    """A certificate for localhost, and its key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert, "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


class Front:
    """A cache on a port of this machine. `interval` is in seconds; `origin_ca` is the file that verifies the origin."""

    def __init__(self, folder, origin_port, origin_ca, interval, plant=None):
        self.folder, self.origin_port, self.origin_ca = folder, origin_port, origin_ca
        self.interval, self.plant = interval, plant
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.ca, self.key = certificate(folder, "front")
        self.processes = []

    def run(self, *command):
        log = (self.folder / "output").open("a")
        # With its own group, so that a kill reaches the workers too.
        process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, start_new_session=True)
        self.processes.append(process)

    def wait(self, what):
        end = time.monotonic() + 20
        while not what():
            if time.monotonic() > end or any(process.poll() is not None for process in self.processes):
                raise SystemExit(f"fleet: {type(self).__name__} did not start:\n{(self.folder / 'output').read_text()}")
            time.sleep(0.02)

    def is_listening(self, place):
        """On a port, or on a socket in the folder."""
        is_port = isinstance(place, int)
        with socket.socket(socket.AF_INET if is_port else socket.AF_UNIX) as client:
            return client.connect_ex(("127.0.0.1", place) if is_port else str(self.folder / place)) == 0

    def kill(self):
        for process in self.processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        self.processes = []

    def logs(self):
        """Everything written to disk that may contain credentials."""
        return {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file() and path.suffix not in (".pem", ".so")}


class Nginx(Front):
    def start(self):
        times = f"{max(1, round(self.interval))}s"
        cache = self.folder / "cache"
        config = adapt("nginx.conf", self.folder, [
            ("load_module modules/", f"load_module {modules()}/"),
            ("worker_processes auto;", "worker_processes 2;"),
            ("worker_rlimit_nofile 65536;", ""),
            ("worker_connections 16384;", "worker_connections 8192;"),
            ("user www-data;", "user root;" if os.getuid() == 0 else ""),
            ("pid /run/nginx-flags.pid;", f"pid {self.folder}/pid; daemon off;"),
            ("/var/log/nginx/", f"{self.folder}/"),
            ("/var/lib/nginx/flags", str(cache)),
            ("server api.mixpanel.com:443;", f"server 127.0.0.1:{self.origin_port};"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("server_name flags-cache.internal;", "server_name localhost;"),
            ("/etc/nginx/flags/cert.pem", str(self.ca)),
            ("/etc/nginx/flags/key.pem", str(self.key)),
            ("api.mixpanel.com;", "localhost;"),
            ("/etc/ssl/certs/ca-certificates.crt", str(self.origin_ca)),
            ("200 60s;" if self.plant != "kept-refusals" else "any 60s;",
             f"{'any' if self.plant == 'kept-refusals' else '200'} {times};"),
        ], self.plant)  # fmt: skip
        self.run("nginx", "-e", self.folder / "start.log", "-c", config, "-p", self.folder)
        self.wait(lambda: self.is_listening(self.port))


def modules():
    for folder in ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"):
        if Path(folder, "ngx_http_set_misc_module.so").exists():
            return folder
    raise SystemExit("fleet: nginx's module set-misc was not found")


class Varnish(Front):
    def start(self):
        (self.folder / "flags.sock").unlink(missing_ok=True)
        inside = free_port()
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        stunnel = adapt("stunnel.conf", self.folder, [
            ("setuid = stunnel4\n", "foreground = yes\n"),
            ("setgid = stunnel4\n", ""),
            ("127.0.0.1:8081", f"127.0.0.1:{inside}"),
            ("connect = api.mixpanel.com:443", f"connect = 127.0.0.1:{self.origin_port}"),
            ("/etc/ssl/certs/ca-certificates.crt", str(self.origin_ca)),
            ("api.mixpanel.com", "localhost"),
        ])  # fmt: skip
        vcl = adapt("varnish.vcl", self.folder, [
            ('.port = "8081"', f'.port = "{inside}"'),
            ('"api.mixpanel.com"', '"localhost"'),
            ("beresp.ttl = 60s;", f"beresp.ttl = {max(1, round(self.interval))}s;"),
        ])  # fmt: skip
        pem = self.folder / "both.pem"
        pem.write_bytes(self.ca.read_bytes() + self.key.read_bytes())
        hitch = adapt("hitch.conf", self.folder, [
            ('"[*]:443"', f'"[127.0.0.1]:{self.port}"'),
            ("/run/varnish/flags.sock", f"{self.folder}/flags.sock"),
            ("/etc/hitch/flags.pem", str(pem)),
            ('user = "_hitch"\ngroup = "_hitch"\n', 'user = "root"\n' if os.getuid() == 0 else ""),
        ])  # fmt: skip
        self.run("stunnel4", stunnel)
        self.wait(lambda: self.is_listening(inside))
        self.run("varnishd", "-F", "-j", "none", "-n", self.folder / "work", "-f", vcl, "-a", f"{self.folder}/flags.sock,PROXY,mode=666",
                 "-s", "malloc,64m", "-p", "vsl_mask=-ReqHeader,-BereqHeader,-ReqURL,-BereqURL")  # fmt: skip
        self.wait(lambda: self.is_listening("flags.sock"))
        self.run("hitch", f"--config={hitch}")
        self.wait(lambda: self.is_listening(self.port))


FRONTS = {"nginx": Nginx, "varnish": Varnish}
