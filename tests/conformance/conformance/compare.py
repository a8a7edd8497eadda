"""Describes the differences between two answers in short texts, which differences.json can name.

    status 500 -> 400               the statuses; nothing else is compared then
    header content-type: "a" -> -   a header that matters
    changed a.b[]: 1 -> 2           a value; `removed a.b: 1` and `added a.b: 2` if only one service has it
    jobs: 2 -> 1 documents          a list of another length
    order jobs, page jobs           the same documents in another order; as many, but others
    error 400: changed title: ...   the difference between two errors with the same status

Ids that both services made for the same thing, and times of the run, are the same value.
"""
import decimal
import json
import re
import time
from typing import Any

from .exchange import Answer

COLLECTIONS = ('clients', 'jobs', 'actions', 'sessions', 'backups')
HEADERS = ('content-type', 'location', 'retry-after', 'www-authenticate', 'vary', 'cache-control', 'etag')
MADE = re.compile(r'[0-9a-f]{32}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}')
SELF = re.compile(r'http://127\.0\.0\.1:\d+')
OF_NOW = 900    # seconds around now in which a time is one of this run


class Symbols:
    """Maps each pair of ids that the two services created to one name. With `same`, both use one database."""

    def __init__(self, same: bool = False) -> None:
        self.same = same
        self.of = ({}, {})
        self.count = 0

    def bind(self, theirs: str, ours: str) -> bool:
        """Takes two unknown ids of one form for the same thing."""
        if theirs in self.of[0] or ours in self.of[1] or len(theirs) != len(ours):
            return False
        if not (MADE.fullmatch(theirs) and MADE.fullmatch(ours)):
            return False
        self.count += 1
        self.of[0][theirs] = self.of[1][ours] = '<id %d>' % self.count
        return True

    def name(self, side: int, text: str, unknown: str | None = None) -> str:
        """A text with the names of its ids; `unknown` stands for those that have none."""
        text = SELF.sub('http://<self>', text)
        return MADE.sub(lambda found: self.of[side].get(found[0], unknown or found[0]), text)


class Comparison:
    """Collects the differences of one answer."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self.found: list[str] = []

    def answers(self, theirs: Answer, ours: Answer) -> list[str]:
        """All differences of two answers."""
        if theirs.status != ours.status:
            return ['status %d -> %d' % (theirs.status, ours.status)]
        for name in HEADERS:
            self.header(name, theirs.headers.get(name), ours.headers.get(name))
        allowed = [set(re.split(r',\s*', answer.headers.get('allow', ''))) for answer in (theirs, ours)]
        self.header('allow', *(', '.join(sorted(methods - {'HEAD', 'OPTIONS'})) for methods in allowed))
        if allowed[0] ^ allowed[1]:
            self.found.append('header allow: HEAD or OPTIONS')
        made = ['made' if 'x-openstack-request-id' in answer.headers else None for answer in (theirs, ours)]
        self.header('x-openstack-request-id', *made)
        self.values('', theirs.json(), ours.json())
        if theirs.status >= 400:
            return ['error %d: %s' % (theirs.status, difference) for difference in self.found]
        return self.found

    def header(self, name: str, theirs: str | None, ours: str | None) -> None:
        if theirs != ours:
            self.found.append('header %s: %s -> %s' % (name, *(json.dumps(v) if v else '-' for v in (theirs, ours))))

    def values(self, path: str, theirs: Any, ours: Any) -> None:
        """Compares two values of JSON."""
        if isinstance(theirs, dict) and isinstance(ours, dict):
            self.objects(path, theirs, ours)
        elif isinstance(theirs, list) and isinstance(ours, list):
            if path in COLLECTIONS:
                self.documents(path, theirs, ours)
            else:
                self.lists(path, theirs, ours)
        elif isinstance(theirs, str) and isinstance(ours, str):
            if theirs != ours and not self.symbols.bind(theirs, ours):
                a, b = self.symbols.name(0, theirs), self.symbols.name(1, ours)
                if a != b:
                    self.changed(path, a, b)
        elif type(theirs) is not type(ours) or theirs != ours:
            if not (of_now(theirs) and of_now(ours)):
                self.changed(path, theirs, ours)

    def changed(self, path: str, theirs: Any, ours: Any) -> None:
        self.found.append('changed %s: %s -> %s' % (path, self.shown(0, theirs), self.shown(1, ours)))

    def objects(self, path: str, theirs: dict, ours: dict) -> None:
        """Keys may be ids."""
        named = [{self.symbols.name(side, key): value for key, value in document.items()}
                 for side, document in enumerate((theirs, ours))]
        for key, value in named[0].items():
            place = '%s.%s' % (path, key) if path else key
            if key in named[1]:
                self.values(place, value, named[1][key])
            else:
                self.found.append('removed %s: %s' % (place, self.shown(0, value)))
        for key in named[1].keys() - named[0].keys():
            place = '%s.%s' % (path, key) if path else key
            self.found.append('added %s: %s' % (place, self.shown(1, named[1][key])))

    def lists(self, path: str, theirs: list, ours: list) -> None:
        if len(theirs) != len(ours):
            self.found.append('%s: %d -> %d items' % (path, len(theirs), len(ours)))
            return
        for a, b in zip(theirs, ours):
            self.values(path + '[]', a, b)

    def documents(self, name: str, theirs: list, ours: list) -> None:
        """A list whose order is not told: each document beside its own."""
        keys = [[self.key(side, document) for document in documents]
                for side, documents in enumerate((theirs, ours))]
        if len(theirs) != len(ours):
            self.found.append('%s: %d -> %d documents' % (name, len(theirs), len(ours)))
        if sorted(keys[0]) != sorted(keys[1]):
            if len(theirs) == len(ours):
                self.found.append('page ' + name)
        elif keys[0] != keys[1]:
            self.found.append('order ' + name)
        rest = list(zip(keys[1], ours))
        for key, document in zip(keys[0], theirs):
            at = next((at for at, (other, _) in enumerate(rest) if other == key), None)
            if at is not None:
                self.values(name + '[]', document, rest.pop(at)[1])

    def key(self, side: int, document: Any) -> str:
        """Returns the key of a document in a list: its id, or its text if the id is not known yet."""
        if isinstance(document, dict):
            inner = document.get('client')
            of_client = [inner.get('client_id')] if isinstance(inner, dict) else []
            for given in of_client + [document.get(k) for k in ('backup_id', 'job_id', 'action_id', 'session_id')]:
                if isinstance(given, str) and given:
                    named = self.symbols.name(side, given)
                    if self.symbols.same or named != given or not MADE.fullmatch(given):
                        return named
                    break
        return self.symbols.name(side, self.shown(side, document), '<id>')

    def shown(self, side: int, value: Any) -> str:
        text = json.dumps(value, sort_keys=True, default=str)
        return re.sub(r'\b\d{10}\b', lambda found: '<now>' if of_now(int(found[0])) else found[0],
                      self.symbols.name(side, text))


def of_now(value: Any) -> bool:
    """Whether a value is a time of this run, in seconds."""
    return (isinstance(value, int | decimal.Decimal) and not isinstance(value, bool)
            and abs(value - int(time.time())) < OF_NOW)
