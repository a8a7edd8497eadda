"""Both services on one database: each request goes to one of them by chance, and at the end both read the same."""
import random

from .compare import Comparison, Symbols
from .decided import Decided
from .exchange import Caller, Request
from .database import Database
from .generate import COLLECTIONS, Walk
from .story import ADDED, ALL, Surprise


def episode(seed: int, length: int, callers: tuple[Caller, Caller], database: Database, decided: Decided,
            ) -> tuple[int, int, list[Surprise]]:
    """Runs one story. Returns the number of requests, the number of compared documents, and the errors."""
    database.empty()
    answers: dict[int, object] = {}
    for caller in callers:
        caller.answers = answers    # what one service made, the other is asked for
    choice = random.Random(seed ^ 0x5eed)
    wrong: list[Surprise] = []
    sent = 0
    for request in Walk(seed, length, hostility=0.03).requests:
        side = choice.randrange(2)
        answer = callers[side].send(request)
        sent += 1
        reads = request.method == 'GET' and request.body is None and request.raw is None
        if answer.status >= 500 and (side == 1 or (reads and '=-' not in request.path)):
            wrong.append(Surprise(request, '%s answers %d' % (callers[side].name, answer.status),
                                  answer.body[:500].decode('utf-8', 'replace')))
    compared = 0
    for project in ('p1', 'p2'):
        for collection in COLLECTIONS:
            lists = read(Request(ADDED, 'GET', '/v2/%s/%s%s' % (project, collection, ALL)), callers, decided, wrong)
            for document in (lists or {}).get(collection, []):
                name = document['client']['client_id'] if collection == 'clients' else document[collection[:-1] + '_id']
                path = '/v2/%s/%s/%s' % (project, collection, name)
                read(Request(ADDED, 'GET', path), callers, decided, wrong)
                compared += 1
    return sent, compared, wrong


def read(request: Request, callers: tuple[Caller, Caller], decided: Decided, wrong: list[Surprise]) -> dict | None:
    """Reads through both services, whose answers must be equal. Returns the answer of this service."""
    theirs, ours = callers[0].send(request), callers[1].send(request)
    for difference in Comparison(Symbols(same=True)).answers(theirs, ours):
        entry = decided.find(request, difference, lambda: 'present')
        if entry is None or not entry.always:
            wrong.append(Surprise(request, difference, *(a.body[:1000].decode('utf-8', 'replace') for a in (theirs, ours))))
    if max(theirs.status, ours.status) != 200:
        wrong.append(Surprise(request, 'unreadable: %d, %d' % (theirs.status, ours.status)))
        return None
    return ours.json()
