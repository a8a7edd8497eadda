"""Whether the history of a backup session is linearizable: some order of its requests, each between its sending and its
answer, in which a session that does one thing at a time gives exactly these answers.

The search is that of Wing and Gong with Lowe's memory of visited states, as in Knossos and Porcupine. A request of unknown
outcome may come at any time after it was sent, or never. The model is written from the protocol's table, not from the
service: freezer-api/src/service/session_actions.rs has it at its head. All starts have tag 0, and the hold-off is longer than the test.
"""

from dataclasses import dataclass, replace
from typing import Any

from history import Operation

INFINITY = float('inf')


@dataclass(frozen=True)
class Session:
    """The session of the model; `jobs` has each job's status and result."""

    jobs: tuple[tuple[str, str, str], ...]
    tag: int = 0
    status: str = 'active'
    result: str | None = None

    def job(self, job: str, status: str, result: str) -> 'Session':
        """With another state of a job."""
        return replace(self, jobs=tuple((name, status, result) if name == job else (name, *rest)
                                        for name, *rest in self.jobs))

    def view(self) -> dict[str, Any]:
        """Returns the answer to a read."""
        return {'tag': self.tag, 'status': self.status, 'jobs': {name: [status, result]
                                                                 for name, status, result in self.jobs}}


def apply(session: Session, operation: Operation) -> tuple[Session, Any]:
    """The session after a request, and the answer to it."""
    if operation.kind == 'session read':
        return session, session.view()
    job = operation.value
    if operation.kind == 'session start':
        running = session.job(job, 'running', '')
        if session.tag == 0:
            return replace(running, tag=1, status='running', result=''), {'result': 'success', 'session_tag': 1}
        return running, {'result': 'success', 'session_tag': session.tag}
    ended = session.job(job, 'completed', 'success')
    if all(status == 'completed' for _, status, _ in ended.jobs) and ended.status != 'completed':
        ended = replace(ended, status='completed', result='success')
    return ended, {'result': 'success', 'session_tag': session.tag}


def answer_of(operation: Operation) -> Any:
    """The recorded answer in the form of the model's."""
    if operation.kind == 'session read':
        return {key: operation.result[key] for key in ('tag', 'status', 'jobs')}
    return operation.result


def linearizable(operations: list[Operation], jobs: list[str], limit: int = 500_000) -> bool | None:
    """Whether there is such an order, for a session of these jobs; None if the search was given up."""
    certain = [operation for operation in operations if operation.ok]
    possible = [operation for operation in operations
                if operation.outcome == 'unknown' and operation.kind != 'session read']
    every = sorted(certain + possible, key=lambda operation: operation.invoked)
    ends = [operation.completed if operation.ok else INFINITY for operation in every]
    needed = sum(1 << number for number, operation in enumerate(every) if operation.ok)
    start = Session(tuple((job, '', '') for job in jobs))
    # of requests that are equal and may never have come, the first stands for all
    alike = [(operation.kind, operation.value) if operation.outcome == 'unknown' else number
             for number, operation in enumerate(every)]
    stack, seen, steps = [(0, start)], {(0, start)}, 0
    while stack:
        done, session = stack.pop()
        if done & needed == needed:
            return True
        open_ends = [end for number, end in enumerate(ends) if not done >> number & 1 and end is not None]
        first_end = min(open_ends)
        tried = set()
        for number, operation in enumerate(every):
            if done >> number & 1:
                continue
            if operation.invoked > first_end:
                break
            steps += 1
            after, answer = apply(session, operation)
            if operation.ok and answer != answer_of(operation):
                continue
            if not operation.ok and (after == session or alike[number] in tried):
                continue
            tried.add(alike[number])
            place = (done | 1 << number, after)
            if place not in seen:
                seen.add(place)
                stack.append(place)
        if steps > limit:
            return None
    return False


def problems(operations: list[Operation], final: dict[str, dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Returns the problems of the sessions in a history, and their stale reads. `final` has the state at the end."""
    found: list[str] = []
    stale: list[str] = []
    by_session: dict[str, list[Operation]] = {}
    for operation in operations:
        by_session.setdefault(operation.key, []).append(operation)
    for session, of_it in by_session.items():
        view = final.get(session)
        if view is None:
            found.append('session %s is gone' % session)
            continue
        last = Operation('final', 'session read', session, None, INFINITY, INFINITY)
        last.outcome, last.result, last.completed = 'ok', view, INFINITY
        jobs = sorted(view['jobs'])
        verdict = linearizable([*of_it, last], jobs)
        if verdict is None:
            found.append('session %s: too many orders to search' % session)
        elif not verdict:
            changes = [operation for operation in of_it if operation.kind != 'session read']
            if linearizable([*changes, last], jobs):
                stale.append('session %s is linearizable only without the reads' % session)
            else:
                found.append('session %s is not linearizable' % session)
        ended = {operation.value for operation in of_it if operation.kind == 'session end' and operation.ok}
        for job in ended:
            if view['jobs'].get(job, ['', ''])[0] != 'completed':
                found.append('session %s: the confirmed end of job %s is missing' % (session, job))
        every = all(status == 'completed' for status, _ in view['jobs'].values())
        if every != (view['status'] == 'completed'):
            found.append('session %s is %s although its jobs are %s' % (session, view['status'], view['jobs']))
    return found, stale
