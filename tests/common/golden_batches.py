#!/usr/bin/env python3
"""Writes golden_batches.inc: record batches built without any code of varve.

Everything but real lz4 and zstd compression (their command-line tools) is done here by hand from the
description of the format. Run it again only when a case is added: the bytes are a contract.
"""
import gzip
import os
import struct
import subprocess
import sys

BASE = 1_700_000_000_000
RECORDS = [  # timestamp, key, value, headers
    (BASE, b"k0", b"hello", []),
    (BASE + 5, None, b"world" * 40, [(b"h1", b"v1"), (b"", None)]),
    (BASE - 3, b"k2", None, []),
    (BASE + 1, b"", b"", [(b"trace", b"")]),
]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def uvarint(v):
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def varint(v):
    return uvarint(v * 2 if v >= 0 else -v * 2 - 1)


def nullable(data):
    return varint(-1) if data is None else varint(len(data)) + data


def record(number, timestamp, key, value, headers):
    body = b"\0" + varint(timestamp - BASE) + varint(number) + nullable(key) + nullable(value)
    body += varint(len(headers)) + b"".join(nullable(k) + nullable(v) for k, v in headers)
    return varint(len(body)) + body


def batch(attributes, blob, producer=(-1, -1, -1)):
    tail = struct.pack(">hiqq", attributes, len(RECORDS) - 1, BASE, max(r[0] for r in RECORDS))
    tail += struct.pack(">qhi", *producer) + struct.pack(">i", len(RECORDS)) + blob
    head = struct.pack(">qiib", 0, 4 + 1 + 4 + len(tail), -1, 2)
    return head + struct.pack(">I", crc32c(tail)) + tail


def snappy_block(data):
    """Literals, and one copy (offset 5) for the run of 'world'."""
    run = data.index(b"world" * 40)
    out = uvarint(len(data))

    def literal(part):
        n = len(part) - 1
        return (bytes([n << 2]) if n < 60 else bytes([60 << 2, n])) + part

    out += literal(data[: run + 5])
    rest = 39 * 5
    while rest:
        n = min(rest, 64)
        out += bytes([(n - 1) << 2 | 2]) + struct.pack("<H", 5)
        rest -= n
    return out + literal(data[run + 200 :])


def xerial(data):
    half = len(data) // 2
    out = b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1)
    for part in (data[:half], data[half:]):
        block = uvarint(len(part))
        for at in range(0, len(part), 60):
            piece = part[at : at + 60]
            block += bytes([(len(piece) - 1) << 2]) + piece
        out += struct.pack(">i", len(block)) + block
    return out


def tool(command, data):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def main():
    blob = b"".join(record(i, *r) for i, r in enumerate(RECORDS))
    cases = [
        ("none", "kNone", batch(0, blob)),
        ("gzip", "kGzip", batch(1, gzip.compress(blob, mtime=0))),
        ("snappy raw", "kSnappy", batch(2, snappy_block(blob))),
        ("snappy Java framing", "kSnappy", batch(2, xerial(blob))),
        ("lz4", "kLz4", batch(3, tool(["lz4", "-c", "-B4", "-"], blob))),
        ("zstd", "kZstd", batch(4, tool(["zstd", "-c", "-"], blob))),
        ("producer", "kNone", batch(0x10, blob, (4711, 3, 99))),
    ]
    path = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "golden_batches.inc")
    with open(path, "w") as out:
        out.write("// Written by golden_batches.py; never edited. GOLDEN(name, codec, hex)\n")
        for name, codec, data in cases:
            out.write(f'GOLDEN("{name}", {codec},\n')
            text = data.hex()
            lines = [text[i : i + 90] for i in range(0, len(text), 90)]
            out.write("\n".join(f'       "{line}"' for line in lines) + ")\n")


if __name__ == "__main__":
    main()
