"""Users for Tacet in Python, nothing but the standard library.

    openssl rand -hex 32 > secret
    SECRET_FILE=secret python3 users.py
    tacet serve --users-url http://127.0.0.1:9100 --users-secret-file secret

Replace the dictionary by your own table; the two calls of Tacet are authenticate
and get_user. Whatever goes wrong must not look like "no such user": an exception
is answered 500, which signs nobody out.
"""
import hashlib
import hmac
import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

SECRET = open(os.environ["SECRET_FILE"]).read().strip()
TACET = os.environ.get("TACET_URL", "http://127.0.0.1:8080")
PERMISSIONS = {"viewer": ["orders:read"], "clerk": ["orders:*"]}


def hashed(password, salt):
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


def new_user(id, username, name, role):
    salt = os.urandom(16)
    return {"id": id, "username": username, "display_name": name, "role": role, "version": 1,
            "salt": salt, "hash": hashed(username + "-password", salt)}


USERS = {u["id"]: u for u in [new_user("7", "ada", "Ada Lovelace", "viewer"), new_user("8", "grace", "Grace Hopper", "viewer")]}
NOBODY = new_user("", "", "", "viewer")  # so that unknown names take as long as known ones


def authenticate(body):
    user = next((u for u in USERS.values() if u["username"] == body["username"]), NOBODY)
    if not hmac.compare_digest(hashed(body["password"], user["salt"]), user["hash"]) or user is NOBODY:
        return 403, None
    return 200, shown(user)


def get_user(id):
    return (200, shown(USERS[id])) if id in USERS else (404, None)


def shown(user):
    return {"id": user["id"], "username": user["username"], "display_name": user["display_name"], "roles": [user["role"]],
            "permissions": PERMISSIONS[user["role"]], "grants_version": user["version"], "settings": {}}


def set_role(id, role):
    if id not in USERS or role not in PERMISSIONS:
        return 404, None
    USERS[id].update(role=role, version=USERS[id]["version"] + 1)
    grants_changed(id, USERS[id]["version"])
    return 204, None


def remove(id):
    user = USERS.pop(id, None)
    if user is None:
        return 404, None
    grants_changed(id, user["version"] + 1)  # the next refresh asks, and finds nobody
    return 204, None


def grants_changed(id, version):
    """Tells Tacet, after the change is stored."""
    urllib.request.urlopen(urllib.request.Request(
        f"{TACET}/auth/admin/users/{quote(id, safe='')}/grants-changed", method="POST",
        data=json.dumps({"grants_version": version}).encode(),
        headers={"Authorization": "Bearer " + SECRET, "Content-Type": "application/json"}), timeout=5).close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), ("Bearer " + SECRET).encode()):
            return 401, None
        parts = [unquote(p) for p in self.path.split("/")[1:]]
        match self.command, parts:
            case "POST", ["authenticate"]:
                return authenticate(body)
            case "GET", ["users", id]:
                return get_user(id)
            case "PUT", ["users", id, "role"]:  # yours, for the example
                return set_role(id, body["role"])
            case "DELETE", ["users", id]:
                return remove(id)
        return 400, None

    def handle_any(self):
        try:
            status, user = self.answer()
        except Exception as e:  # an outage, never "no such user"
            self.log_error("%r", e)
            status, user = 500, None
        body = b"" if user is None else json.dumps(user).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def log_request(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9100"))), Handler)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
