"""The decided differences: reading differences.json and finding the entry for a difference.

An entry:

    id      row of docs/compatibility.md
    when    JSON Schema (draft 7) of the request: {method, route, path, query, roles, label, headers, body, raw};
            `definitions` of the file can be referred to
    target  "missing" or "present": whether the documents that the path names are there for both services, asked
            afterwards; absent: not asked
    what    texts of differences (compare.py), `*` for any text; texts of the reads after a change start with "then "
    says    texts of which the description of our error must be one, `*` for any text; one that begins with `<field>` must
            begin with the place of a value of the request's body
    field   JSON Schema of the value at that place
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

from .documents import Place, places
from .exchange import Request

FIELD = '<field>: '
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
    says: re.Pattern | None
    field: jsonschema.Draft7Validator

    def is_said(self, body: Any, description: str) -> bool:
        """Whether our error's description is one that the entry asks for."""
        if self.says is None:
            return True
        found = self.says.fullmatch(description)
        if found is None or found['field'] is None:
            return found is not None
        return any(shown(place) == found['field'] and self.field.is_valid(value_at(body, place)) for place in places(body))


class Decided:
    """All entries, and how often each was needed."""

    def __init__(self, text: str | None = None) -> None:
        document = json.loads(text or FILE.read_text())
        self.entries = [read(number, entry, document['definitions'])
                        for number, entry in enumerate(document['entries'])]
        self.used: dict[int, int] = {}
        self.listed: list[dict[str, Any]] = []

    def find(self, request: Request, difference: str, target: Callable[[], str], said: Any = None) -> Entry | None:
        """The entry for a difference; `target` asks whether the documents of the path are there, `said` is our answer."""
        view = request.view()
        description = str(said.get('description', '')) if isinstance(said, dict) else ''
        entry = self.matching(view, difference, target, description)
        self.listed.append({'entry': entry and entry.id, 'method': request.method, 'route': view['route'],
                            'label': request.label, 'difference': difference, 'said': description})
        return entry

    def matching(self, view: dict[str, Any], difference: str, target: Callable[[], str], description: str) -> Entry | None:
        """The first entry that takes a difference."""
        for entry in self.entries:
            if (entry.what.fullmatch(difference) and entry.schema.is_valid(view)
                    and entry.is_said(view.get('body'), description)
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
    unknown = entry.keys() - {'id', 'when', 'what', 'target', 'always', 'says', 'field'}
    if unknown:
        raise ValueError('differences.json, entry %d: unknown %s' % (number + 1, sorted(unknown)))
    schema = {'definitions': definitions, **entry['when']}
    jsonschema.Draft7Validator.check_schema(schema)
    return Entry(entry['id'], number, jsonschema.Draft7Validator(schema), pattern(entry['what']), entry.get('target'),
                 entry.get('always', False), pattern(entry['says']) if 'says' in entry else None,
                 jsonschema.Draft7Validator({'definitions': definitions, **entry.get('field', {})}))


def pattern(texts: list[str]) -> re.Pattern:
    """Any of some texts, with `*` for any text, and `<field>: ` at the beginning of those that name one."""
    plain = ['(?:%s)' % starred(text) for text in texts if not text.startswith(FIELD)]
    named = ['(?:%s)' % starred(text.removeprefix(FIELD)) for text in texts if text.startswith(FIELD)]
    if named:
        plain.append(r'(?P<field>[^\s:]+): (?:%s)' % '|'.join(named))
    else:
        plain.append('(?P<field>(?!))')
    return re.compile('|'.join(plain), re.DOTALL)


def starred(text: str) -> str:
    return '.*'.join(re.escape(part) for part in text.split('*'))


def shown(place: Place) -> str:
    """A place as our texts name it: `job_actions[0].freezer_action`."""
    return ''.join('[%d]' % key if isinstance(key, int) else '.' + key for key in place).removeprefix('.')


def value_at(document: Any, place: Place) -> Any:
    """The value at a place of a document."""
    for key in place:
        document = document[key]
    return document
