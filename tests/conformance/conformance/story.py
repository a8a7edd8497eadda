"""Sends requests to both services one after the other, reads the changed documents, and checks the differences."""
import dataclasses
import itertools

from .compare import Comparison, Symbols
from .database import Database
from .decided import Decided
from .exchange import Answer, Caller, Request

#: Numbers of the reads that the comparison adds, so that references to a story's own requests stay true.
ADDED = 1_000_000
ALL = '?limit=1000'


@dataclasses.dataclass
class Surprise:
    """An undecided difference."""

    request: Request
    difference: str
    theirs: str = ''
    ours: str = ''

    def __str__(self) -> str:
        return '%s %s (%s): %s' % (self.request.method, self.request.path,
                                   self.request.label or 'request %d' % self.request.number, self.difference)


class Story:
    """A row of requests to two services that hold the same at its beginning."""

    def __init__(self, theirs: Caller, ours: Caller, databases: list[Database], decided: Decided) -> None:
        self.theirs, self.ours = theirs, ours
        self.databases = databases
        self.decided = decided
        self.surprises: list[Surprise] = []
        self.sent = 0
        self.begin()

    def begin(self) -> None:
        """Empties both databases."""
        for database in self.databases:
            database.empty()
        self.theirs.forget()
        self.ours.forget()
        self.symbols = Symbols()
        self.diverged = False
        self.added = itertools.count(ADDED)

    def step(self, request: Request) -> bool:
        """Sends a request to both services. Returns False if there was an undecided difference."""
        before = len(self.surprises)
        theirs, ours = self.send(request)
        self.judge(request, '', theirs, ours)
        statuses = (theirs.status or 500, ours.status or 500)
        if theirs.status == ours.status in (403, 405, 406):
            return len(self.surprises) == before
        if theirs.status == ours.status or min(statuses) >= 400:
            for path in reads_after(request, max(statuses) >= 400):
                self.read(request, path)
        return len(self.surprises) == before

    def prepare(self, requests: list[Request]) -> None:
        """Sends the requests that other requests need. Their results are compared only when they are read."""
        self.begin()
        for request in requests:
            Comparison(self.symbols).answers(*self.send(request))

    def independent(self, before: list[Request], requests: list[Request]) -> None:
        """Requests that need only `before`; begins anew whenever the services no longer hold the same."""
        self.prepare(before)
        for request in requests:
            if self.diverged:
                self.prepare(before)
            self.step(request)

    def dependent(self, before: list[Request], requests: list[Request]) -> None:
        """Sends requests that depend on each other. Stops early if the services no longer have the same documents."""
        self.prepare(before)
        for request in requests:
            if self.diverged:
                return
            self.step(request)

    def send(self, request: Request) -> tuple[Answer, Answer]:
        self.sent += 1
        return self.theirs.send(request), self.ours.send(request)

    def read(self, cause: Request, path: str) -> None:
        """Reads the documents that a request may have changed."""
        request = Request(next(self.added), 'GET', path)
        self.judge(cause, 'then ', *self.send(request))

    def judge(self, request: Request, prefix: str, theirs: Answer, ours: Answer) -> None:
        for difference in Comparison(self.symbols).answers(theirs, ours):
            entry = self.decided.find(request, prefix + difference, lambda: self.target(request), ours.json())
            if entry is None:
                self.surprises.append(Surprise(
                    request, prefix + difference, *(answer.body[:2000].decode('utf-8', 'replace')
                                                    for answer in (theirs, ours))))
            if not (entry and entry.always) and (prefix or is_change(request, theirs, ours)):
                self.diverged = True

    def target(self, request: Request) -> str:
        """Whether the documents that a path names are there: "present", "missing", or "differs"."""
        found = 'present'
        for path in targets(request.path):
            statuses = {answer.status for answer in self.send(Request(next(self.added), 'GET', path))}
            if statuses == {404}:
                found = 'missing'
            elif statuses != {200}:
                return 'differs'
        return found

    def read_all(self, projects: list[str]) -> bool:
        """Lists every collection of some projects. Returns False if there was an undecided difference."""
        before = len(self.surprises)
        for project in projects:
            for collection in ('clients', 'actions', 'jobs', 'sessions', 'backups'):
                self.step(Request(next(self.added), 'GET', '/v2/%s/%s%s' % (project, collection, ALL)))
        return len(self.surprises) == before


def is_change(request: Request, theirs: Answer, ours: Answer) -> bool:
    """Whether one service made a change that the other refused."""
    return (request.method not in ('GET', 'HEAD', 'OPTIONS') and theirs.status != ours.status
            and min(theirs.status or 500, ours.status or 500) < 400)


def parts_of(path: str) -> list[str]:
    return path.partition('?')[0].rstrip('/').split('/')


def targets(path: str) -> list[str]:
    """The documents that a path names."""
    parts = parts_of(path)
    if len(parts) < 5 or parts[1] != 'v2':
        return []
    found = ['/'.join(parts[:5])]
    if len(parts) == 7 and parts[5] == 'jobs':
        found.append('/v2/%s/jobs/%s' % (parts[2], parts[6]))
    return found


def reads_after(request: Request, refused: bool) -> list[str]:
    """Returns the documents to read after a request: those that it may have changed, and those that it must not have changed."""
    parts = parts_of(request.path)
    if request.method in ('GET', 'HEAD', 'OPTIONS') or len(parts) < 4 or parts[1] != 'v2':
        return []
    project, collection = parts[2], parts[3]
    if collection not in ('clients', 'actions', 'jobs', 'sessions', 'backups'):
        return []
    base = '/v2/%s/' % project
    if len(parts) == 4:
        if refused:
            found = [base + collection + ALL]
        else:
            found = [base + '%s/{{%d.%s_id}}' % (collection, request.number, collection[:-1])]
    else:
        found = targets(request.path)
    if refused and collection == 'jobs':
        found.append(base + 'actions' + ALL)
    if collection == 'actions' and request.method == 'DELETE':
        found.append(base + 'jobs' + ALL)
    return found
