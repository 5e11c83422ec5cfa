"""Just enough of MariaDB's protocol to send it statements: no client need be installed."""

import hashlib
import socket
import urllib.parse


class Maria:
    def __init__(self, url):
        at = urllib.parse.urlparse(url)
        self.socket = socket.create_connection((at.hostname, at.port))
        self.file = self.socket.makefile("rb")
        hello, _ = self.packet()
        version, rest = hello[1:].split(b"\0", 1)
        salt = rest[4:12] + rest[31:].split(b"\0", 1)[0]
        password = at.password.encode()
        once = hashlib.sha1(password).digest()
        mask = hashlib.sha1(salt[:20] + hashlib.sha1(once).digest()).digest()
        proof = bytes(a ^ b for a, b in zip(once, mask))
        flags = 0x1 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000  # password, database, 4.1, transactions, native password
        name = at.path.strip("/").encode()
        self.send(flags.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little") + b"\x2d" + bytes(23)
                  + at.username.encode() + b"\0" + bytes([len(proof)]) + proof + name + b"\0mysql_native_password\0", 1)
        self.answer()

    def packet(self):
        head = self.file.read(4)
        return self.file.read(int.from_bytes(head[:3], "little")), head[3]

    def send(self, body, number=0):
        self.socket.sendall(len(body).to_bytes(3, "little") + bytes([number]) + body)

    def answer(self):
        body, _ = self.packet()
        if body[0] == 0xFF:
            raise SystemExit(f"MariaDB: {body[3:].decode(errors='replace')}")
        return body

    def __call__(self, sql):
        """Runs one statement; the first column of its rows, as text."""
        self.send(b"\x03" + sql.encode())
        if self.answer()[0] == 0:
            return []
        while self.packet()[0][0] != 0xFE:
            pass  # the columns
        rows = []
        while (body := self.packet()[0])[0] != 0xFE:
            length = body[0]
            rows.append(body[1:1 + length].decode() if length < 251 else None)
        return rows
