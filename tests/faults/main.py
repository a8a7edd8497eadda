"""Runs scenarios and prints their table; started by `tests/faults/run`.

Exit code 0: every promise was kept and every goal reached; 1: not; files of the run then stay in the work directory.
"""

import argparse
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

import load as load_module
from checker import Verdict, check
from harness.galera import library
from history import History
from load import Load
from places import Balanced, Clocked, Direct, Place, SmallServer, Sqlite, faketime
from scenarios import SCENARIOS, Scenario

COLUMNS = ('place', 'fault', 'operations', 'acknowledged', 'lost', 'doubled', 'wrong', 'stale', 'errors', 'failed POSTs',
           'stored anyway', 'longest')


class Run:
    """The scenarios of one run, and their results."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.rows: list[tuple[str, ...]] = []
        self.failed: list[str] = []
        self.place: Place | None = None

    def all(self, scenarios: list[Scenario]) -> None:
        """Runs scenarios in their order; those of one place share its servers."""
        for number, scenario in enumerate(scenarios):
            if reason := why_not(scenario):
                print('SKIPPED: %s, %s: %s' % (scenario.place.name, scenario.name, reason), flush=True)
                continue
            if not isinstance(self.place, scenario.place) or type(self.place) is not scenario.place:
                self.close()
                directory = self.options.work / scenario.place.__name__.lower()
                self.place = scenario.place(directory, self.options.bin)
                self.place.start()
            if scenario.name == 'disk full' and not (
                    isinstance(self.place, Sqlite | SmallServer) and self.place.disk and self.place.disk.mounted):
                print('SKIPPED: %s, disk full: only root may mount a small file system' % self.place.name, flush=True)
                continue
            if not self.one(number, scenario, self.place):
                # it may not be whole any more
                self.close()
        self.close()

    def close(self) -> None:
        """Ends the place."""
        if self.place:
            self.place.stop()
            self.place = None

    def one(self, number: int, scenario: Scenario, place: Place) -> bool:
        """One scenario; false if it could not be carried out to its end."""
        name = '%s, %s' % (place.name, scenario.name)
        print('==> %s' % name, flush=True)
        load_module.PROJECT = 'p%d' % number
        history = History(self.options.work / ('history-%d.jsonl' % number))
        load = Load(place.services, history, seed=self.options.seed, keep=scenario.keep)
        started = time.monotonic()
        problems = []
        place.found.clear()
        try:
            load.start()
            time.sleep(1 if self.options.short else 3)
            try:
                scenario.run(place, self.options.short)
            finally:
                # the goal is that everything is as before a little later
                time.sleep(2 if self.options.short else 4)
                load.finish()
            place.heal()
            verdict = check(history, place.stored(load_module.PROJECT))
            verdict.wrong += place.found
        except Exception as error:
            load.finish()
            verdict = Verdict()
            problems.append('%s' % error)
            traceback.print_exc()
        history.close()
        carried_out = not problems
        problems += load.surprises
        for kind in ('lost', 'doubled', 'wrong', 'stale'):
            found = getattr(verdict, kind)
            problems += ['%s: %s' % (kind, text) for text in found[:5]]
        missed = []
        if scenario.failed is not None and verdict.failed_posts > scenario.failed:
            missed.append('%d POSTs failed, the goal is %d' % (verdict.failed_posts, scenario.failed))
        if verdict.longest > scenario.longest:
            missed.append('a request took %.1f s, the goal is %.0f s' % (verdict.longest, scenario.longest))
        for text in problems:
            print('    WRONG   %s' % text[:600])
        for text in missed:
            print('    MISSED  %s' % text)
        for answer, count in verdict.answers.most_common(6):
            print('    %6d x %s' % (count, answer))
        self.rows.append((place.name, scenario.name, str(verdict.operations), str(verdict.acknowledged),
                          *(str(len(getattr(verdict, kind))) for kind in ('lost', 'doubled', 'wrong', 'stale')),
                          str(verdict.errors), str(verdict.failed_posts), str(verdict.stored_anyway),
                          '%.1f s' % verdict.longest))
        print('    ' + '  '.join('%s %s' % pair for pair in zip(COLUMNS[2:], self.rows[-1][2:])) +
              '  (%d s)' % (time.monotonic() - started), flush=True)
        if problems or missed and not self.options.no_goals:
            self.failed.append(name)
            (self.options.work / ('logs-%d.txt' % number)).write_text(place.logs())
        return carried_out

    def table(self) -> str:
        """The figures as a table of docs/reliability.md."""
        lines = ['| %s |' % ' | '.join(COLUMNS), '|%s' % ('---|' * 2 + '--:|' * (len(COLUMNS) - 2))]
        lines += ['| %s |' % ' | '.join(row) for row in self.rows]
        return '\n'.join(lines)


def why_not(scenario: Scenario) -> str:
    """Why a scenario cannot run on this machine; empty if it can."""
    if issubclass(scenario.place, Direct) and not library():
        return 'the package galera-4 is not installed'
    if issubclass(scenario.place, Balanced) and not shutil.which('haproxy'):
        return 'HAProxy is not installed'
    if issubclass(scenario.place, Clocked) and not faketime():
        return 'the package faketime is not installed'
    return ''


def resolved(path: str) -> Path:
    """A path that programs in other directories understand."""
    return Path(path).resolve()


def main() -> int:
    """Reads the arguments, runs, cleans up."""
    parser = argparse.ArgumentParser(prog='tests/faults/run', description=__doc__)
    parser.add_argument('--bin', type=resolved, required=True, help='directory of the programs')
    parser.add_argument('--work', type=resolved, required=True, help=argparse.SUPPRESS)
    parser.add_argument('--short', action='store_true', help='a few scenarios, each for a few seconds')
    parser.add_argument('--only', action='append', default=[], metavar='TEXT',
                        help='scenarios whose place and name contain this text; may be repeated')
    parser.add_argument('--no-goals', action='store_true', help='the run fails only for broken promises, not for missed goals')
    parser.add_argument('--seed', type=int, default=1, help='seed of the random choices of the load')
    parser.add_argument('--list', action='store_true', help='print the scenarios and end')
    options = parser.parse_args()
    chosen = [scenario for scenario in SCENARIOS
              if (scenario.short or not options.short or options.only)
              and (not options.only or any(text in '%s, %s' % (scenario.place.name, scenario.name)
                                          for text in options.only))]
    if options.list:
        print('\n'.join('%s, %s' % (scenario.place.name, scenario.name) for scenario in chosen))
        return 0
    if not chosen:
        parser.error('no scenario has this name; --list prints them')
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # an exception, so that all processes are ended
        signal.signal(number, lambda *_: sys.exit(1))
    run = Run(options)
    try:
        run.all(chosen)
    finally:
        run.close()
    print('\n%s\n' % run.table())
    for name in run.failed:
        print('failed: %s' % name)
    if run.failed:
        print('files of this run: %s' % options.work)
        return 1
    shutil.rmtree(options.work, ignore_errors=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
