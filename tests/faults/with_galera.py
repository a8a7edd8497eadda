"""Runs a command with the URL of a Galera cluster: see `with-galera`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from harness.galera import Balancer, Galera, library
from harness.mariadb import ADMIN, DATABASE, make_template


def main() -> int:
    directory, arguments = Path(sys.argv[1]), sys.argv[2:]
    balanced = arguments[:1] == ['--balanced']
    command = arguments[1:] if balanced else arguments
    if not command:
        print('usage: tests/faults/with-galera [--balanced] COMMAND [ARGUMENT ...]', file=sys.stderr)
        return 2
    if library() is None:
        print('SKIPPED: Galera is not installed')
        return 77
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    cluster = Galera(directory, make_template(directory / 'template'))
    balancer = Balancer(directory / 'balancer', [node.port for node in cluster.nodes])
    try:
        cluster.start()
        cluster.wait_ready()
        port = cluster.nodes[0].port
        if balanced:
            balancer.start()
            port = balancer.port
        # the tests create databases of their own
        url = 'mysql://%s:%s@127.0.0.1:%d/%s' % (ADMIN, ADMIN, port, DATABASE)
        return subprocess.run(command, env={**os.environ, 'FREEZER_TEST_MYSQL_URL': url}, check=False).returncode
    finally:
        balancer.stop()
        cluster.stop()


if __name__ == '__main__':
    sys.exit(main())
