"""Compares a history with the documents stored at the end: each confirmed change must be there, once, as confirmed."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import sessions
from history import History, Operation

KINDS = ('backups', 'jobs', 'actions', 'sessions')
POSTS = ('create', 'register', 'session start', 'session end')


@dataclass
class Stored:
    """The stored state at the end, as one process shows it: documents by kind and id, and the names of live clients."""

    documents: dict[str, dict[str, dict[str, Any]]]
    marks: dict[str, dict[str, str]]
    clients: list[str]
    sessions: dict[str, dict[str, Any]]


@dataclass
class Verdict:
    """The figures of one scenario."""

    operations: int = 0
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    # reads that missed a change confirmed before they were sent
    stale: list[str] = field(default_factory=list)
    # an error was answered, and the document is there
    stored_anyway: int = 0
    errors: int = 0
    failed_posts: int = 0
    longest: float = 0
    answers: Counter[str] = field(default_factory=Counter)

    def held(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.doubled or self.wrong or self.stale)


def check(history: History, stored: list[Stored]) -> Verdict:
    """Returns the figures and problems of one scenario; `stored` has the final state as each process shows it."""
    verdict = Verdict()
    figures(history, verdict)
    for number, shown in enumerate(stored):
        documents(history, shown, verdict, first=number == 0)
        clients(history, shown, verdict)
        own_registers(history, shown, verdict)
        shared_registers(history, shown, verdict)
        wrong, stale = sessions.problems(history.of('session start', 'session end', 'session read'), shown.sessions)
        verdict.wrong += wrong
        verdict.stale += stale
    reads(history, verdict)
    for problems in (verdict.lost, verdict.doubled, verdict.wrong, verdict.stale):
        problems[:] = dict.fromkeys(problems)
    return verdict


def is_post(operation: Operation) -> bool:
    """Whether it went out as POST."""
    return operation.kind.startswith(POSTS)


def figures(history: History, verdict: Verdict) -> None:
    """Counts the answers."""
    for operation in history.operations:
        verdict.operations += 1
        verdict.longest = max(verdict.longest, operation.seconds)
        if operation.ok:
            verdict.acknowledged += 1
            continue
        if operation.kind == 'read deleted' and operation.status == 404:
            verdict.acknowledged += 1
            continue
        verdict.errors += 1
        verdict.failed_posts += is_post(operation)
        verdict.answers['%s %s' % (operation.status or '-', operation.note[:60])] += 1
        if operation.status == 404:
            verdict.stale.append('%s of %s: 404 for a confirmed document' % (operation.kind, operation.key))
        elif operation.outcome == 'fail' and operation.status not in (408, 429):
            verdict.wrong.append('%s of %s: %d %s' % (operation.kind, operation.key, operation.status, operation.note))
        elif operation.status == 500:
            verdict.wrong.append('%s of %s: 500' % (operation.kind, operation.key))


def documents(history: History, stored: Stored, verdict: Verdict, first: bool) -> None:
    """Confirmed creations are there, once; refused ones are not; deleted ones are gone."""
    gone = {operation.value for operation in history.of('delete backups') if operation.ok}
    doubtful = {operation.value for operation in history.of('delete backups')} - gone
    for kind in KINDS:
        there = stored.marks[kind]
        count = Counter(there.values())
        own = {operation.key for operation in history.of('create ' + kind)}
        verdict.doubled += ['%s %s is there %d times' % (kind, mark, count[mark]) for mark in own if count[mark] > 1]
        for operation in history.of('create ' + kind):
            if operation.ok:
                if operation.result in gone:
                    if operation.result in there:
                        verdict.wrong.append('%s %s is there after its deletion was confirmed' % (kind, operation.key))
                elif operation.result not in there:
                    if operation.result not in doubtful:
                        verdict.lost.append('%s %s (%s)' % (kind, operation.key, operation.result))
            elif operation.outcome in ('fail', 'unsent') and count[operation.key]:
                verdict.wrong.append('%s %s is there although it was refused (%d)' % (kind, operation.key,
                                                                                    operation.status))
            elif first and operation.outcome == 'unknown' and operation.status and count[operation.key]:
                verdict.stored_anyway += 1
    for job, document in stored.documents['jobs'].items():
        names = [entry['freezer_action']['backup_name'].rpartition('/')[2] for entry in document['job_actions']]
        if names != ['0', '1']:
            verdict.wrong.append('job %s has the actions %s' % (job, names))


def clients(history: History, stored: Stored, verdict: Verdict) -> None:
    """One live client for each name that was registered."""
    count = Counter(stored.clients)
    verdict.doubled += ['client %s is there %d times' % (name, times) for name, times in count.items() if times > 1]
    confirmed = {operation.key for operation in history.of('register') if operation.ok}
    verdict.lost += ['client %s' % name for name in sorted(confirmed) if not count[name]]


def own_registers(history: History, stored: Stored, verdict: Verdict) -> None:
    """A job with one writer, which counts up: its final value must not be older than the last confirmed one."""
    writes: dict[str, list[Operation]] = {}
    for operation in history.of('patch own'):
        writes.setdefault(operation.key, []).append(operation)
    for key, of_it in writes.items():
        last = max((operation.value for operation in of_it if operation.ok), default=0)
        shown = counted(stored.marks['jobs'].get(key))
        if shown is not None and shown < last:
            verdict.lost.append('the last PATCH of job %s: %d is there, %d was confirmed' % (key, shown, last))
        if shown is not None and shown and shown not in {operation.value for operation in of_it
                                                         if operation.outcome in ('ok', 'unknown')}:
            verdict.wrong.append('job %s shows %d, which was never written' % (key, shown))


def counted(text: str | None) -> int | None:
    """The number that `patch_own` wrote; 0 for the text of the creation."""
    if text is None:
        return None
    return int(text[2:]) if text.startswith('n=') else 0


def shared_registers(history: History, stored: Stored, verdict: Verdict) -> None:
    """A job with several writers ends with a value that no confirmed PATCH came after."""
    for key in {operation.key for operation in history.of('patch shared')}:
        of_it = [operation for operation in history.of('patch shared') if operation.key == key]
        shown = stored.marks['jobs'].get(key)
        wrote = next((operation for operation in of_it if operation.value == shown), None)
        if wrote is None:
            if any(operation.ok for operation in of_it):
                verdict.lost.append('all PATCHes of job %s, which shows %s' % (key, shown))
        elif wrote.outcome == 'fail':
            verdict.wrong.append('job %s shows %s, which was refused' % (key, shown))
        elif wrote.ok and any(other.ok and other.invoked > (wrote.completed or 0) for other in of_it):
            verdict.lost.append('a later PATCH of job %s, which shows %s' % (key, shown))


def reads(history: History, verdict: Verdict) -> None:
    """A read must see every change confirmed before it was sent, through any process."""
    for kind in KINDS:
        for operation in history.of('read ' + kind):
            if operation.ok and operation.result != operation.key:
                verdict.wrong.append('%s %s was read as %s' % (kind, operation.key, operation.result))
    for operation in history.of('read deleted'):
        if operation.ok:
            verdict.stale.append('backup %s was read after its deletion was confirmed' % operation.key)
    confirmed: dict[str, int] = {}
    for operation in sorted(history.of('patch own', 'read own'), key=lambda operation: operation.invoked):
        # one worker writes and reads, so the order of sending is the order of confirming
        if operation.kind == 'patch own':
            if operation.ok:
                confirmed[operation.key] = operation.value
        elif operation.ok and (counted(operation.result) or 0) < confirmed.get(operation.key, 0):
            verdict.stale.append('job %s was read as %s after %d was confirmed' % (
                operation.key, operation.result, confirmed[operation.key]))
