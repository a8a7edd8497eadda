"""The checker finds every kind of broken promise in histories made by hand, and none in good ones."""

import sys
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from checker import KINDS, Stored, check
from history import History
from sessions import linearizable


class Story:
    """A history and the stored state at the end. Each request takes a second."""

    def __init__(self) -> None:
        self.history = History()
        self.stored = Stored({kind: {} for kind in KINDS}, {kind: {} for kind in KINDS}, [], {})
        self.now = 0.0

    def ask(self, kind: str, key: str, value: Any = None, result: Any = None, status: int = 201,
            seconds: float = 1) -> None:
        """One request that ends before the next is sent."""
        operation = self.history.invoke('w', kind, key, value)
        outcome = 'ok' if 200 <= status < 300 else 'fail' if 400 <= status < 500 else 'unknown'
        self.history.complete(operation, outcome, status, result)
        operation.invoked, operation.completed = self.now, self.now + seconds
        # the next is sent a second after the answer
        self.now += seconds + 1

    def found(self) -> dict[str, int]:
        """How many problems of each kind are found."""
        verdict = check(self.history, [self.stored])
        return {kind: len(problems) for kind in ('lost', 'doubled', 'wrong', 'stale')
                if (problems := getattr(verdict, kind))}


class Documents(unittest.TestCase):
    """Creations, deletions and registrations."""

    def setUp(self) -> None:
        self.story = Story()
        self.story.ask('create backups', 'm', result='id')

    def test_what_is_there_once_is_well(self) -> None:
        self.story.stored.marks['backups'] = {'id': 'm'}
        self.assertEqual(self.story.found(), {})

    def test_a_confirmed_creation_that_is_missing_is_lost(self) -> None:
        self.assertEqual(self.story.found(), {'lost': 1})

    def test_one_that_is_there_twice_is_doubled(self) -> None:
        self.story.stored.marks['backups'] = {'id': 'm', 'other': 'm'}
        self.assertEqual(self.story.found(), {'doubled': 1})

    def test_a_refused_creation_must_not_be_there(self) -> None:
        self.story.ask('create backups', 'refused', status=400)
        self.story.stored.marks['backups'] = {'id': 'm', 'x': 'refused'}
        # the refusal is no answer that a client should have got, either
        self.assertEqual(self.story.found(), {'wrong': 2})

    def test_an_error_leaves_both_open_but_is_counted(self) -> None:
        self.story.ask('create backups', 'open', status=503)
        self.story.stored.marks['backups'] = {'id': 'm', 'x': 'open'}
        self.assertEqual(self.story.found(), {})
        verdict = check(self.story.history, [self.story.stored])
        self.assertEqual((verdict.stored_anyway, verdict.errors, verdict.failed_posts), (1, 1, 1))

    def test_an_internal_error_is_wrong(self) -> None:
        self.story.stored.marks['backups'] = {'id': 'm'}
        self.story.ask('create backups', 'open', status=500)
        self.assertEqual(self.story.found(), {'wrong': 1})

    def test_a_confirmed_deletion_stays(self) -> None:
        self.story.ask('delete backups', 'm', 'id', status=204)
        self.assertEqual(self.story.found(), {})
        self.story.stored.marks['backups'] = {'id': 'm'}
        self.assertEqual(self.story.found(), {'wrong': 1})

    def test_a_deletion_must_find_what_was_confirmed(self) -> None:
        self.story.stored.marks['backups'] = {'id': 'm'}
        self.story.ask('delete backups', 'm', 'id', status=404)
        self.assertEqual(self.story.found(), {'stale': 1})

    def test_a_job_has_its_actions(self) -> None:
        self.story.stored.marks['backups'] = {'id': 'm'}
        entries = [{'freezer_action': {'backup_name': 'job/%d' % number}} for number in range(2)]
        self.story.stored.documents['jobs'] = {'j': {'job_actions': entries}}
        self.assertEqual(self.story.found(), {})
        self.story.stored.documents['jobs'] = {'j': {'job_actions': entries[:1]}}
        self.assertEqual(self.story.found(), {'wrong': 1})

    def test_one_client_of_a_name(self) -> None:
        self.story.stored.marks['backups'] = {'id': 'm'}
        self.story.ask('register', 'node')
        self.assertEqual(self.story.found(), {'lost': 1})
        self.story.stored.clients = ['node']
        self.assertEqual(self.story.found(), {})
        self.story.stored.clients = ['node', 'node']
        self.assertEqual(self.story.found(), {'doubled': 1})


class Registers(unittest.TestCase):
    """PATCHes of one and of several writers."""

    def own(self, shown: str, *values: tuple[int, int]) -> dict[str, int]:
        """Returns the problems of a job that one worker has counted up, with these values and statuses."""
        story = Story()
        for value, status in values:
            story.ask('patch own', 'j', value, status=status)
        story.stored.marks['jobs'] = {'j': shown}
        return story.found()

    def test_the_last_confirmed_value_or_one_in_doubt_stays(self) -> None:
        self.assertEqual(self.own('n=2', (1, 200), (2, 200)), {})
        self.assertEqual(self.own('n=2', (1, 200), (2, 503)), {})
        self.assertEqual(self.own('n=1', (1, 200), (2, 503)), {})

    def test_an_older_value_is_a_lost_one(self) -> None:
        self.assertEqual(self.own('n=1', (1, 200), (2, 200)), {'lost': 1})
        # one in doubt must not come after one that was confirmed later
        self.assertEqual(self.own('n=1', (1, 503), (2, 200)), {'lost': 1})

    def test_a_value_that_was_never_written_is_wrong(self) -> None:
        self.assertEqual(self.own('n=7', (1, 200)), {'wrong': 1})

    def test_reads_see_what_was_confirmed(self) -> None:
        for seen, expected in (('n=2', {}), ('n=1', {'stale': 1})):
            story = Story()
            story.ask('patch own', 'j', 1)
            story.ask('patch own', 'j', 2)
            story.ask('read own', 'j', result=seen)
            story.stored.marks['jobs'] = {'j': 'n=2'}
            self.assertEqual(story.found(), expected)

    def test_the_last_of_several_writers_wins(self) -> None:
        for shown, expected in (('b', {}), ('a', {'lost': 1}), ('first', {'lost': 1})):
            story = Story()
            story.ask('patch shared', 'j', 'a')
            story.ask('patch shared', 'j', 'b')
            story.stored.marks['jobs'] = {'j': shown}
            self.assertEqual(story.found(), expected, shown)


class Sessions(unittest.TestCase):
    """Starts, ends and reads of a session of two jobs."""

    def verdict(self, *asked: tuple[str, str, Any, int], jobs: str = 'ab') -> bool | None:
        """Whether a history is linearizable: kind, job, result and status of each request, one after the other."""
        story = Story()
        for kind, job, result, status in asked:
            story.ask('session ' + kind, 's', job, result, status)
        return linearizable(story.history.operations, list(jobs))

    def test_a_run(self) -> None:
        done = {'result': 'success', 'session_tag': 1}
        view = {'tag': 1, 'status': 'completed', 'result': 'success',
                'jobs': {'a': ['completed', 'success'], 'b': ['completed', 'success']}}
        run = [('start', 'a', done, 202), ('start', 'b', done, 202), ('end', 'a', done, 202), ('end', 'b', done, 202)]
        self.assertTrue(self.verdict(*run, ('read', '', view, 200)))
        # an end that was confirmed and is not there
        missing = dict(view, status='running', jobs={'a': ['completed', 'success'], 'b': ['running', '']})
        self.assertFalse(self.verdict(*run, ('read', '', missing, 200)))
        # completed before all have ended
        self.assertFalse(self.verdict(*run[:3], ('read', '', dict(missing, status='completed'), 200)))
        # not completed although all have ended
        self.assertFalse(self.verdict(*run, ('read', '', dict(view, status='running'), 200)))

    def test_a_run_counts_once(self) -> None:
        once, twice = ({'result': 'success', 'session_tag': tag} for tag in (1, 2))
        self.assertTrue(self.verdict(('start', 'a', once, 202), ('start', 'b', once, 202)))
        self.assertFalse(self.verdict(('start', 'a', once, 202), ('start', 'b', twice, 202)))
        self.assertFalse(self.verdict(('start', 'a', {'result': 'out-of-sync', 'session_tag': 1}, 202)))

    def test_what_is_in_doubt_may_come_or_not(self) -> None:
        running = {'tag': 1, 'status': 'running', 'result': '', 'jobs': {'a': ['running', ''], 'b': ['', '']}}
        new = {'tag': 0, 'status': 'active', 'result': None, 'jobs': {'a': ['', ''], 'b': ['', '']}}
        for view in (running, new):
            self.assertTrue(self.verdict(('start', 'a', None, 503), ('read', '', view, 200)))
        # seen, and then gone
        self.assertFalse(self.verdict(('start', 'a', None, 503), ('read', '', running, 200), ('read', '', new, 200)))


if __name__ == '__main__':
    unittest.main()
