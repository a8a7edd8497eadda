"""The comparison from the command line; `tests/conformance/run --help` says how."""
import argparse
import json
import os
import pathlib
import random
import signal
import sys
import time

from . import scripted, sequences, shared
from .bench import Bench
from .decided import Decided
from .exchange import Request
from .generate import Walk
from .shrink import shrink
from .story import Story, Surprise


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='tests/conformance/run', description=__doc__.splitlines()[0])
    parser.add_argument('--long', action='store_true', help='every odd value of every field, and 20,000 random requests')
    parser.add_argument('--steps', type=int, help='random requests (short: 400, long: 20000)')
    parser.add_argument('--shared-steps', type=int, help='random requests to both on one database (240, 4000)')
    parser.add_argument('--every', type=int, help='one odd value of so many is tried (120, 1)')
    parser.add_argument('--seed', type=int, help='of the random stories; without it a fixed one (short) or a new one (long)')
    parser.add_argument('--only', default='scripted,generated,shared,web-ui', help='parts to run, with commas (all)')
    parser.add_argument('--keep-going', action='store_true', help='tell of every random story with a surprise, shorten none')
    parser.add_argument('--replay', metavar='FILE', help='send the requests of a saved story, and compare')
    parser.add_argument('--list', metavar='FILE', help='write every difference and its entry there, one JSON object a line')
    parser.add_argument('--save', metavar='FILE', default='conformance-story.json', help='where a shortened story is saved')
    chosen = parser.parse_args()
    usual = (20000, 4000, 1) if chosen.long else (400, 240, 120)
    chosen.steps = usual[0] if chosen.steps is None else chosen.steps
    chosen.shared_steps = usual[1] if chosen.shared_steps is None else chosen.shared_steps
    chosen.every = chosen.every or usual[2]
    if chosen.seed is None:
        chosen.seed = random.SystemRandom().randrange(1 << 32) if chosen.long else 19
    return chosen


class Run:
    """One run, its parts and its verdict."""

    def __init__(self, options: argparse.Namespace, bench: Bench) -> None:
        self.options, self.bench = options, bench
        self.decided = Decided()
        self.failed: list[str] = []
        self.story = bench.apart(self.decided)

    def part(self, name: str) -> bool:
        return name in self.options.only.split(',')

    def report(self, what: str, started: float, surprises: list[Surprise]) -> None:
        print('%-10s %s in %.0f s, %d not decided' % (what, self.counted, time.monotonic() - started, len(surprises)), flush=True)
        if what not in ('scripted', 'generated'):
            show(surprises)
        if surprises:
            self.failed.append(what)

    def scripted(self) -> None:
        """The written cases."""
        started, cases, shown = time.monotonic(), 0, 0
        for tell, count, groups in (
                (self.story.independent, len, scripted.all_cases(self.options.every)),
                (self.story.dependent, lambda _: 1, sequences.all_stories())):
            for before, requests in groups:
                tell(before, requests)
                cases += count(requests)
                show(self.story.surprises[shown:])
                shown = len(self.story.surprises)
        self.counted = '%d cases, %d requests to each' % (cases, self.story.sent)
        self.report('scripted', started, self.story.surprises)

    def generated(self) -> None:
        """Random stories, half of them friendly, until there are enough requests."""
        started, steps, seed, sent = time.monotonic(), 0, self.options.seed, self.story.sent
        surprises: list[Surprise] = []
        stories = 0
        while steps < self.options.steps and (self.options.keep_going or not surprises):
            requests = Walk(seed, 60, (0, 0.04, 0.3)[seed % 3]).requests
            steps += self.tell(requests)
            found, self.story.surprises = self.story.surprises, []
            surprises += found
            stories += 1
            if found:
                print('seed %d, after %d steps:' % (seed, steps))
                show(found)
            if found and not self.options.keep_going:
                self.shorten(seed, requests)
            seed += 1
        self.counted = '%d stories from seed %d, %d steps, %d requests to each' % (
            stories, self.options.seed, steps, self.story.sent - sent)
        self.report('generated', started, surprises)

    def tell(self, requests: list[Request]) -> int:
        """Sends a story up to its first divergence; returns how far it came."""
        self.story.surprises = []
        self.story.begin()
        for position, request in enumerate(requests, 1):
            self.story.step(request)
            if self.story.diverged or self.story.surprises:
                return position
        self.story.read_all(['p1', 'p2'])
        return len(requests)

    def shorten(self, seed: int, requests: list[Request]) -> None:
        """Saves the shortest story that still surprises."""

        def surprises(fewer: list[Request]) -> bool:
            self.tell(fewer)
            return bool(self.story.surprises)

        short = shrink(requests, surprises)
        self.tell(short)
        surprise = self.story.surprises[0] if self.story.surprises else None
        self.story.surprises = []
        text = {'seed': seed, 'surprise': str(surprise), 'requests': [request.to_json() for request in short]}
        pathlib.Path(self.options.save).write_text(json.dumps(text, indent=1) + '\n')
        print('seed %d, shortened to %d requests, saved in %s:' % (seed, len(short), self.options.save))
        print(json.dumps(text, indent=1))
        if surprise:
            print('theirs: %s\nours:   %s' % (surprise.theirs, surprise.ours))

    def replay(self) -> None:
        """A saved story."""
        started = time.monotonic()
        saved = json.loads(pathlib.Path(self.options.replay).read_text())
        self.tell([Request(**request) for request in saved['requests']])
        self.counted = '%d requests' % len(saved['requests'])
        self.report('replay', started, self.story.surprises)

    def shared(self) -> None:
        """Both services on one database, whose tables each of them made once."""
        started, surprises = time.monotonic(), []
        sent = compared = stories = 0
        seed = self.options.seed
        pairs = []
        for maker in ('ours', 'theirs'):
            database = self.bench.database('utf8mb4')
            by_ours = maker == 'ours'
            first = self.bench.ours if by_ours else self.bench.theirs
            second = self.bench.theirs if by_ours else self.bench.ours
            made = first('shared-%s-1' % maker, database)
            joined = second('shared-%s-2' % maker, database, sync=False)
            pairs.append((database, (joined, made) if by_ours else (made, joined)))
        while sent < self.options.shared_steps and not surprises:
            database, callers = pairs[seed % 2]
            more, documents, surprises = shared.episode(seed, 80, callers, database, self.decided)
            sent, compared, stories, seed = sent + more, compared + documents, stories + 1, seed + 1
        self.counted = '%d stories from seed %d, %d requests, %d documents read through both' % (
            stories, self.options.seed, sent, compared)
        self.report('shared', started, surprises)

    def web_ui(self) -> None:
        """The calls of freezer-web-ui, on each service."""
        from . import web_ui
        started = time.monotonic()
        calls, surprises = web_ui.compare(self.story)
        self.counted = '%d calls of freezer-web-ui %s' % (calls, web_ui.VERSION)
        self.report('web-ui', started, surprises)

    def verdict(self) -> int:
        """Prints the entries that were used. Returns 1 if anything is wrong."""
        if self.options.list:
            lines = [json.dumps(difference) + '\n' for difference in self.decided.listed]
            pathlib.Path(self.options.list).write_text(''.join(lines))
        print('differences by id: ' + ', '.join('%s %d' % pair for pair in sorted(self.decided.uses().items())))
        rowless = self.decided.without_row()
        if rowless:
            print('docs/compatibility.md has no row: ' + ', '.join(rowless))
        whole = self.part('scripted') and self.part('generated') and not self.options.replay
        unused = self.decided.unused() if whole else []
        if unused:
            print('entries of differences.json that nothing needs: ' + ', '.join(unused))
        return 1 if self.failed or rowless or unused else 0


def show(surprises: list[Surprise]) -> None:
    """Prints undecided differences with their requests. It prints them immediately, because a long run takes an hour."""
    for surprise in surprises:
        print('  ', surprise)
        print('      ', surprise.request.raw or json.dumps(surprise.request.body)[:400])
        print('       theirs: %s\n       ours:   %s' % (surprise.theirs[:400], surprise.ours[:400]), flush=True)


def main() -> int:
    """Runs the selected parts."""
    options = arguments()
    # databases and services are put away then, too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Bench(os.environ['FREEZER_TEST_MYSQL_URL'], pathlib.Path(os.environ['FREEZER_BINARIES'])) as bench:
        run = Run(options, bench)
        try:
            if options.replay:
                run.replay()
            else:
                for name in ('scripted', 'generated', 'shared', 'web-ui'):
                    if run.part(name):
                        getattr(run, name.replace('-', '_'))()
            status = run.verdict()
        except Exception:
            print('\n'.join(bench.logs()), file=sys.stderr)
            raise
        if run.failed:
            print('\n'.join(bench.logs()), file=sys.stderr)
        return status


if __name__ == '__main__':
    sys.exit(main())
