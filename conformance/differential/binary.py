"""Contexts in the binary form, written from docs/binary.md."""
import json
import struct


def form(context):
    """The binary form of a JSON object."""
    return b"\x01" + members(json.loads(context, object_pairs_hook=Members))


class Members(list):
    """The members of an object in order, equal keys included."""


def members(pairs):
    return b"".join(bytes([tag]) + text(key.encode()) + content for key, value in pairs for tag, content in [encoded(value)])


def encoded(value):
    """The tag and the content of a value."""
    match value:
        case None:
            return 0, b""
        case bool():
            return 2 if value else 1, b""
        case int() if -(2**63) <= value < 2**63:
            return 3, digits(value % 2**64, 10)
        case int() if 0 <= value < 2**64:
            return 4, digits(value, 10)
        case int() | float():
            return 5, digits(int.from_bytes(struct.pack(">d", value)), 10)
        case str():
            return 6, text(value.encode())
        case Members():
            return 8, text(members(value))
        case list():
            return 7, text(b"".join(bytes([tag]) + content for tag, content in map(encoded, value)))
    raise TypeError(f"JSON has no {type(value)}")


def text(content):
    length = bytes([len(content)]) if len(content) < 127 else b"\x7f" + digits(len(content), 5)
    return length + content


def digits(number, count):
    return bytes(number >> 7 * at & 0x7F for at in range(count))
