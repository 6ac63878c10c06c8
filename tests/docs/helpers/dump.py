"""Replaces `mongodump`, which no package registry has: writes the archive of a collection to standard output.

It takes the options that the examples use, and reads the collection that they name.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import yaml
from archives import Segment, archive
from bson import json_util
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--collection", required=True)
    parser.add_argument("--query", default="{}")
    parser.add_argument("--archive", action="store_true", required=True)
    parser.add_argument("--gzip", action="store_true", required=True)
    options = parser.parse_args()
    url = yaml.safe_load(options.config.read_text())["uri"]
    query: dict[str, Any] = json_util.loads(json.dumps(json.loads(options.query)))
    with MongoClient[RawBSONDocument](url, document_class=RawBSONDocument) as client:
        database = client.get_default_database()
        documents = [bytes(found.raw) for found in database[options.collection].find(query)]
        content = gzip.compress(archive([Segment(f"{database.name}.{options.collection}", documents)]))
    sys.stdout.buffer.write(content)


if __name__ == "__main__":
    main()
