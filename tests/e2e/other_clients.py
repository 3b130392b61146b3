"""What the tests of other makers' clients share: whom they call, what they say, and that every call was paid for."""

from __future__ import annotations

import base64
import struct
import zlib
from decimal import Decimal

from harness import Json, Mock, Price, Tenant

WORDS = "The keeper at the gate"
#: How the mock's whole answer begins and ends.
WHOLE = "The keeper at the gate counts each token, takes the fare and lets it."


def png() -> str:
    """An image of one grey pixel, in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    image = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\x80")) + chunk(b"IEND", b"")
    return base64.b64encode(image).decode()


def check_paid(tenant: Tenant, mock: Mock, price: Price, count: int = 1) -> list[Json]:
    """So many calls were made and nothing else; each cost what the provider would bill, to the nano-dollar. The rows
    in the order of the calls."""
    rows = tenant.settled(count)[::-1]
    for row in rows:
        truth = mock.truth_of(row["request_id"])
        assert (row["status"], row["estimated"]) == ("succeeded", False), row
        assert Decimal(row["cost"]) == price.of_truth(truth), (row, truth)
        assert (row["input_tokens"], row["output_tokens"]) == (truth["prompt_tokens"], truth["completion_tokens"])
    return rows
