"""Runs attacks against the service and prints the results; started by `tests/attacks/run`.

Exit code 0: every check held; 1: not; files of the run then stay in the work directory.
"""

import argparse
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

from attacks import ATTACKS, Skipped
from loads import LOADS
from target import Target


def main() -> int:
    """Reads the arguments, runs, cleans up."""
    parser = argparse.ArgumentParser(prog='tests/attacks/run', description=__doc__)
    parser.add_argument('--bin', type=lambda path: Path(path).resolve(), required=True, help='directory of the programs')
    parser.add_argument('--work', type=lambda path: Path(path).resolve(), required=True, help=argparse.SUPPRESS)
    parser.add_argument('--short', action='store_true', help='those that take seconds, with less of each')
    parser.add_argument('--only', action='append', default=[], metavar='TEXT', help='attacks whose name contains this text')
    options = parser.parse_args()
    chosen = [attack for attack in ATTACKS + LOADS if (attack.short or not options.short or options.only)
              and (not options.only or any(text in attack.name for text in options.only))]
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # an exception, so that all processes are ended
        signal.signal(number, lambda *_: sys.exit(1))
    failed: list[str] = []
    target = Target(options.work, options.bin)
    try:
        for attack in chosen:
            print('==> %s' % attack.name, flush=True)
            begun = time.monotonic()

            def check(name: str, held: bool, seen: object) -> None:
                print('%-4s  %s%s' % ('ok' if held else 'FAIL', name, ': %s' % (seen,) if seen not in ('', None) else ''),
                      flush=True)
                if not held:
                    failed.append('%s: %s' % (attack.name, name))

            try:
                attack.run(target, check, options.short)
            except Skipped as reason:
                print('SKIP  %s' % reason, flush=True)
            except Exception:
                check('an exception', False, traceback.format_exc())
            print('      %d s' % (time.monotonic() - begun), flush=True)
    finally:
        target.stop()
    for name in failed:
        print('failed: %s' % name)
    if failed or not chosen:
        print('files of this run: %s' % options.work)
        return 1
    shutil.rmtree(options.work, ignore_errors=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
