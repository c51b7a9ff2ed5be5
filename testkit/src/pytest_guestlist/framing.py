"""Finds the ends of HTTP/1.1 requests and answers, and keeps their bytes unchanged."""

from __future__ import annotations

import re
from asyncio import StreamReader
from collections.abc import Mapping
from email.message import Message
from email.parser import BytesHeaderParser
from http import HTTPStatus

END_OF_HEAD = b"\r\n\r\n"


def split_message(message: bytes) -> tuple[bytes, bytes]:
    """Returns the head, including the empty line after it, and the body."""
    head, end, body = message.partition(END_OF_HEAD)
    return head + end, body


def headers_of(head: bytes) -> Message:
    """Returns the headers of a head. Lookups ignore the case of names."""
    return BytesHeaderParser().parsebytes(head.partition(b"\r\n")[2])


def addressed(head: bytes, host: str) -> bytes:
    """Returns the head of a request with another host."""
    return re.sub(rb"(?im)^host:[^\r\n]*", b"Host: " + host.encode("ascii"), head, count=1)


def answer_of(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Returns the bytes of an answer."""
    fields = {"Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n".encode("latin-1") + body


async def read_body(reader: StreamReader, headers: Message) -> bytes:
    """Returns the body of a message, or no bytes if its headers give no length."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _read_chunks(reader)
    return await reader.readexactly(int(headers.get("content-length", "0")))


async def read_answer(reader: StreamReader, method: str) -> bytes:
    """Returns the bytes of the next final answer. Interim answers (1xx) are skipped."""
    while True:
        head = await reader.readuntil(END_OF_HEAD)
        status = int(head.split(b" ", 2)[1])
        if status >= 200:
            break
    headers = headers_of(head)
    if method == "HEAD" or status in (204, 304):
        return head
    if "content-length" in headers or "transfer-encoding" in headers:
        return head + await read_body(reader, headers)
    return head + await reader.read()


async def _read_chunks(reader: StreamReader) -> bytes:
    body = b""
    size = -1
    while size != 0:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        body += line + await reader.readexactly(size + 2 if size else 0)
    while not body.endswith(END_OF_HEAD):  # trailers, and the empty line
        body += await reader.readuntil(b"\r\n")
    return body
