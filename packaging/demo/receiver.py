"""A local receiver in the place of Slack's incoming webhook: keeps each message it gets as a numbered file."""

import http.server
import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
count = 0


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        global count
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), 1 << 20))
        try:
            message = json.loads(body)
        except ValueError:
            return self.answer(400, b"invalid_payload")
        if not message.get("text") and not message.get("blocks"):
            return self.answer(400, b"no_text")
        count += 1
        part = folder / f"{count}.part"
        part.write_text(json.dumps(message, indent=2))
        part.rename(folder / f"{count}.json")
        self.answer(200, b"ok")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
part = folder / "port.part"
part.write_text(str(server.server_address[1]))
part.rename(folder / "port")
server.serve_forever()
