"""A rejected document as `bson` types, whole, for the quarantine file."""

from __future__ import annotations

import json
from typing import Any

from bson import Binary, CodecOptions, decode, encode
from bson.codec_options import DatetimeConversion
from bson.errors import BSONError
from bson.json_util import JSONOptions, loads

_AS_WRITTEN: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
_JSON_AS_WRITTEN = JSONOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)


def bson_document(raw: bytes) -> Any:
    """The document that `raw` encodes, or `raw` itself as `bson.Binary` where decoding it would lose anything.

    Broken documents, repeated field names and deprecated types do not survive a round trip and come out as binary.
    """
    try:
        document = decode(raw, _AS_WRITTEN)
        if encode(document, codec_options=_AS_WRITTEN) == raw:
            return document
    except (BSONError, ValueError, OverflowError, RecursionError):
        pass
    return Binary(raw)


def json_document(raw: bytes) -> Any:
    """The document of a JSON text, or the text itself where it holds what BSON cannot, such as a huge integer."""
    text = raw.decode(errors="replace")
    try:
        pairs: list[int] = []
        json.loads(text, object_pairs_hook=lambda items: pairs.append(len(items) - len({k for k, _ in items})))
        document = loads(text, json_options=_JSON_AS_WRITTEN)
        encode(document, codec_options=_AS_WRITTEN)
    except (BSONError, ValueError, TypeError, OverflowError, RecursionError):
        return text
    return text if any(pairs) else document
