"""Checks: their descriptions and results, and the table at the end. Parts may run at the same time in threads."""

import threading
import time
import traceback
from collections.abc import Callable

from harness.processes import wait


class Checks:
    """Counts the passed and the failed checks, and prints each of them."""

    def __init__(self) -> None:
        self.parts: dict[str, list[int]] = {}
        self.failed: list[str] = []
        self.started = time.monotonic()
        self.lock = threading.Lock()
        self.here = threading.local()

    def begin(self, part: str) -> None:
        """The next checks of this thread belong to this part of the table."""
        self.here.part = part
        with self.lock:
            self.parts.setdefault(part, [0, 0])

    def that(self, name: str, held: bool, seen: object = '') -> bool:
        """Records one check. If it fails, `seen` is printed."""
        part = self.here.part
        with self.lock:
            self.parts[part][0 if held else 1] += 1
            print('%-4s  %s: %s' % ('ok' if held else 'FAIL', part, name), flush=True)
            if not held:
                self.failed.append('%s: %s' % (part, name))
                print('      %s' % str(seen)[:2000], flush=True)
        return held

    def together(self, *runs: Callable[[], None]) -> None:
        """Runs parts at the same time, each to its end."""
        threads = [threading.Thread(target=self.guarded, args=(run,), daemon=True) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            # a signal's handler runs between two looks
            while thread.is_alive():
                thread.join(1)

    def guarded(self, run: Callable[[], None]) -> None:
        """Runs a part; an exception is a check that did not hold."""
        self.begin('surprises')
        try:
            run()
        except Exception:
            self.that('an exception', False, traceback.format_exc())

    def equal(self, name: str, seen: object, expected: object) -> bool:
        """One check of a value."""
        return self.that(name, seen == expected, '%r, not %r' % (seen, expected))

    def within(self, name: str, seconds: float, condition: Callable[[], object],
               seen: Callable[[], object] = lambda: '') -> bool:
        """Waits until the condition holds, at most so long."""
        return self.that(name, bool(wait(seconds, condition)), 'not within %d s: %s' % (seconds, seen()))

    def table(self) -> bool:
        """Prints the counts. Returns true if all checks passed."""
        print('\n%-44s %7s %7s' % ('', 'ok', 'failed'))
        for part, (held, failed) in self.parts.items():
            if not held + failed:
                continue
            print('%-44s %7d %7d' % (part, held, failed))
        held = sum(counts[0] for counts in self.parts.values())
        print('%-44s %7d %7d' % ('all', held, len(self.failed)))
        for name in self.failed:
            print('failed: %s' % name)
        print('%d s' % (time.monotonic() - self.started))
        return held > 0 and not self.failed
