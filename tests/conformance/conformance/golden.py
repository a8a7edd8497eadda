"""The requests that were recorded from freezer-api 19.0.0 (crates/freezer-api/tests/golden), each from a fresh start.

Before each request come the requests whose answers it refers to, and those that created its documents.
"""
import json
import pathlib

from .exchange import REFERENCE, Request

FILE = pathlib.Path(__file__).resolve().parents[3] / 'crates/freezer-api/tests/golden/pairs-19.0.0.jsonl'
MADE_KEYS = ('job_id', 'action_id', 'session_id', 'backup_id', 'uuid')


def cases() -> list[tuple[list[Request], list[Request]]]:
    """Returns for each recorded request its preconditions and the request itself."""
    requests = story()
    clients = [request for request in requests if request.label == 'recorded: client create']
    found = []
    for request in requests:
        needed: set[int] = set()
        collect(request, requests, needed)
        before = [requests[number] for number in sorted(needed)]
        found.append((clients + before if request not in clients else [], [request]))
    return found


def collect(request: Request, requests: list[Request], needed: set[int]) -> None:
    """The numbers of the requests that a request refers to, and those that they refer to."""
    for reference in REFERENCE.finditer(json.dumps([request.path, request.body])):
        number = maker_of(int(reference[1]), requests)
        if number not in needed and number != request.number:
            needed.add(number)
            needed.add(int(reference[1]))
            collect(requests[number], requests, needed)
            collect(requests[int(reference[1])], requests, needed)


def maker_of(number: int, requests: list[Request]) -> int:
    """An id that first occurs in a read belongs to the document of the read."""
    reference = REFERENCE.search(requests[number].path)
    return int(reference[1]) if requests[number].method == 'GET' and reference else number


def story() -> list[Request]:
    """The recorded requests; ids that an answer gave refer to that answer."""
    references: dict[str, str] = {}
    requests = []
    for number, line in enumerate(FILE.read_text().splitlines()):
        pair = json.loads(line)
        text = json.dumps(pair)
        for made, reference in references.items():
            text = text.replace(made, reference)
        used = json.loads(text)
        requests.append(Request(
            number, pair['method'], used['path'], body=used.get('body'), raw=pair.get('raw'), roles=pair['roles'],
            project=pair['project'], headers=pair.get('headers', {}), label='recorded: ' + pair['label']))
        learn(pair['answer'], '', number, references)
    return requests


def learn(answer: object, place: str, number: int, references: dict[str, str]) -> None:
    """Records the first occurrence of each id that the service created, except in lists without an order."""
    if isinstance(answer, list):
        for at, value in enumerate(answer):
            learn(value, '%s.%d' % (place, at), number, references)
    if not isinstance(answer, dict):
        return
    for key, value in answer.items():
        if key in MADE_KEYS and isinstance(value, str) and len(value) == 32:
            references.setdefault(value, '{{%d.%s}}' % (number, (place + '.' + key).lstrip('.')))
        elif key in ('client', 'job_actions'):
            learn(value, place + '.' + key, number, references)
