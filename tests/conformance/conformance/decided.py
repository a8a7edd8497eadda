"""The decided differences: reading differences.json and finding the entry for a difference.

An entry:

    id      row of docs/compatibility.md
    when    JSON Schema (draft 7) of the request: {method, route, path, query, roles, label, headers, body, raw};
            `definitions` of the file can be referred to
    target  "missing" or "present": whether the documents that the path names are there for both services, asked
            afterwards; absent: not asked
    what    texts of differences (compare.py), `*` for any text; those of the reads after a change begin with "then "
    always  the services hold the same after it; otherwise a changed document ends the story, because everything that
            follows may differ
"""
import dataclasses
import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

import jsonschema

from .exchange import Request

FILE = pathlib.Path(__file__).resolve().parent.parent / 'differences.json'
ROWS = FILE.parents[2] / 'docs/compatibility.md'


@dataclasses.dataclass
class Entry:
    """One decided difference."""

    id: str
    number: int
    schema: jsonschema.Draft7Validator
    what: re.Pattern
    target: str | None
    always: bool


class Decided:
    """All entries, and how often each was needed."""

    def __init__(self, text: str | None = None) -> None:
        document = json.loads(text or FILE.read_text())
        self.entries = [read(number, entry, document['definitions'])
                        for number, entry in enumerate(document['entries'])]
        self.used: dict[int, int] = {}

    def find(self, request: Request, difference: str, target: Callable[[], str]) -> Entry | None:
        """The entry for a difference; `target` asks whether the documents of the path are there."""
        view = request.view()
        for entry in self.entries:
            if (entry.what.fullmatch(difference) and entry.schema.is_valid(view)
                    and (entry.target is None or entry.target == target())):
                self.used[entry.number] = self.used.get(entry.number, 0) + 1
                return entry
        return None

    def unused(self) -> list[str]:
        """Entries that nothing needed."""
        return ['%s (entry %d)' % (entry.id, entry.number + 1) for entry in self.entries
                if entry.number not in self.used]

    def uses(self) -> dict[str, int]:
        """Differences by id."""
        counts: dict[str, int] = {}
        for entry in self.entries:
            counts[entry.id] = counts.get(entry.id, 0) + self.used.get(entry.number, 0)
        return counts

    def without_row(self) -> list[str]:
        """Ids that docs/compatibility.md does not have."""
        rows = ROWS.read_text()
        return sorted({entry.id for entry in self.entries if '| `%s` |' % entry.id not in rows})


def read(number: int, entry: dict[str, Any], definitions: dict[str, Any]) -> Entry:
    """One entry of the file."""
    unknown = entry.keys() - {'id', 'when', 'what', 'target', 'always'}
    if unknown:
        raise ValueError('differences.json, entry %d: unknown %s' % (number + 1, sorted(unknown)))
    schema = {'definitions': definitions, **entry['when']}
    jsonschema.Draft7Validator.check_schema(schema)
    patterns = ('.*'.join(re.escape(part) for part in text.split('*')) for text in entry['what'])
    return Entry(entry['id'], number, jsonschema.Draft7Validator(schema),
                 re.compile('|'.join('(?:%s)' % pattern for pattern in patterns), re.DOTALL),
                 entry.get('target'), entry.get('always', False))
