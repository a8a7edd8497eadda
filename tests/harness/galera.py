"""A Galera cluster of MariaDB servers on the loopback, whose nodes can be killed, paused and cut off.

Nodes begin with equal data and rejoin by incremental transfer (`bin/wsrep_sst_incremental`), so neither rsync nor
mariadb-backup is needed. A node that has missed too much for that does not rejoin; the write-set cache is large enough for
a test.
"""

import os
import re
import shutil
import socket
import time
from pathlib import Path

import pymysql

from .mariadb import MariaDb, copy
from .processes import Process, free_port, quiet_environment, wait

LIBRARIES = ('/usr/lib/galera/libgalera_smm.so', '/usr/lib64/galera-4/libgalera_smm.so', '/usr/lib/libgalera_smm.so')
POSITION = re.compile(r'Recovered position: *([0-9a-f-]+:-?\d+)')
BIN = Path(__file__).parent / 'bin'
# found after seconds, not after the quarter of a minute that is the default
DETECTION = ('evs.keepalive_period=PT0.5S;evs.inactive_check_period=PT0.5S;evs.suspect_timeout=PT2S;'
             'evs.inactive_timeout=PT4S;evs.install_timeout=PT4S;gmcast.peer_timeout=PT2S')


def library() -> str | None:
    """The provider's path; None if the package galera-4 is not installed."""
    return next((path for path in LIBRARIES if Path(path).exists()), None)


class Node(MariaDb):
    """One node."""

    def __init__(self, number: int, directory: Path, template: Path) -> None:
        super().__init__(directory, template)
        # its statements would be write-sets of this node
        self.init_file = []
        self.number = number
        self.group_port, self.transfer_port, self.handover_port = free_port(), free_port(), free_port()

    def configure(self, addresses: list[str]) -> None:
        """Sets its options; `addresses` are those of all nodes of the group."""
        own = '127.0.0.1:%d' % self.group_port
        self.options = [
            '--binlog-format=ROW', '--default-storage-engine=InnoDB', '--innodb-autoinc-lock-mode=2',
            '--server-id=%d' % self.number, '--wsrep-on=ON', '--wsrep-provider=%s' % library(),
            '--wsrep-cluster-name=faults', '--wsrep-cluster-address=gcomm://' + ','.join(addresses),
            '--wsrep-node-name=node%d' % self.number, '--wsrep-node-address=' + own,
            '--wsrep-node-incoming-address=127.0.0.1:%d' % self.port, '--wsrep-slave-threads=2',
            '--wsrep-sst-method=incremental', '--wsrep-sst-receive-address=127.0.0.1:%d' % self.handover_port,
            '--wsrep-provider-options=base_host=127.0.0.1;base_port=%d;gmcast.listen_addr=tcp://%s;'
            'ist.recv_addr=127.0.0.1:%d;ist.recv_bind=127.0.0.1:%d;gcache.size=128M;pc.recovery=false;%s' % (
                self.group_port, own, self.transfer_port, self.transfer_port, DETECTION)]

    def environment(self) -> dict[str, str]:
        transfers = self.directory.parent / 'transfers'
        transfers.mkdir(exist_ok=True)
        return dict(super().environment(), HARNESS_TRANSFERS=str(transfers), PATH='%s:%s' % (BIN, os.environ['PATH']))

    def state(self) -> dict[str, str]:
        """The variables wsrep_*, without that prefix; empty if it does not answer."""
        try:
            return {name[6:]: value for name, value in self.ask("SHOW GLOBAL STATUS LIKE 'wsrep_%'", 3)}
        except pymysql.MySQLError:
            return {}

    def ready(self) -> bool:
        """Whether it is a member of the primary component and can be used."""
        state = self.state()
        return (state.get('local_state_comment'), state.get('ready'), state.get('cluster_status')) == (
            'Synced', 'ON', 'Primary')

    def recovered(self) -> str:
        """The position that its tables have after a crash, as `uuid:seqno`; empty if it ended in order or is new."""
        state = self.data / 'grastate.dat'
        if not state.exists() or not re.search(r'^seqno: *-1', state.read_text(), re.MULTILINE):
            return ''
        log = self.directory / 'recover.log'
        log.unlink(missing_ok=True)
        command = [*self.command(), '--wsrep-recover', '--log-error=%s' % log]
        finder = Process(command, self.directory / 'recover.out', self.environment())
        found = wait(60, lambda: POSITION.findall(log.read_text(errors='replace') if log.exists() else '')
                     or finder.ended())
        # seen: it prints the position and then does not end
        wait(5, finder.ended, 0.05)
        finder.stop(1)
        return '' if not isinstance(found, list) or found[-1].startswith('00000000-') else found[-1]

    def rejoin(self, seconds: float = 90) -> None:
        """Starts it after a kill or a stop, and waits until it is a member again."""
        position = self.recovered()
        self.start(seconds, *(['--wsrep-start-position=' + position] if position else []))

    def isolate(self, isolated: bool) -> None:
        """Cuts it off from the group's network, or lets it back: it runs and refuses statements (error 1047)."""
        self.ask("SET GLOBAL wsrep_provider_options='gmcast.isolate=%d'" % isolated)


class Galera:
    """Three nodes."""

    def __init__(self, directory: Path, template: Path, nodes: int = 3) -> None:
        self.nodes = [Node(number, directory / ('node%d' % number), template) for number in range(1, nodes + 1)]
        addresses = ['127.0.0.1:%d' % node.group_port for node in self.nodes]
        for node in self.nodes:
            node.configure(addresses)

    def start(self) -> None:
        """Starts the first, copies its data with its position to the others, and starts them."""
        first, *others = self.nodes
        first.start(90, '--wsrep-new-cluster')
        first.stop()
        for node in others:
            shutil.rmtree(node.data)
            copy(first.data, node.data)
            (node.data / 'galera.cache').unlink()
            state = node.data / 'grastate.dat'
            state.write_text(state.read_text().replace('safe_to_bootstrap: 1', 'safe_to_bootstrap: 0'))
        self.bootstrap(first)
        for node in others:
            node.start()

    def bootstrap(self, node: Node) -> None:
        """Starts a node as the first of a new primary component."""
        state = node.data / 'grastate.dat'
        position = node.recovered()
        state.write_text(state.read_text().replace('safe_to_bootstrap: 0', 'safe_to_bootstrap: 1'))
        node.start(90, '--wsrep-new-cluster', *(['--wsrep-start-position=' + position] if position else []))

    def restart_all(self) -> None:
        """Starts all nodes after all of them were killed, first the one that has most."""
        positions = {node: int(node.recovered().rpartition(':')[2] or -1) for node in self.nodes}
        most = max(self.nodes, key=lambda node: positions[node])
        self.bootstrap(most)
        for node in self.nodes:
            if node is not most:
                node.rejoin()

    def wait_ready(self, seconds: float = 60) -> None:
        """Waits until all nodes are members."""
        deadline = time.monotonic() + seconds
        while not all(node.ready() for node in self.nodes):
            if time.monotonic() > deadline:
                raise RuntimeError('not all nodes are members: %s' % [node.state().get('local_state_comment')
                                                                      for node in self.nodes])
            time.sleep(0.2)

    def stop(self) -> None:
        """Ends the nodes at once; nothing of them is needed any more."""
        for node in self.nodes:
            if node.process:
                node.process.resume()
                node.process.kill()


class Balancer:
    """HAProxy before the nodes, which only checks that their ports accept connections."""

    def __init__(self, directory: Path, ports: list[int]) -> None:
        self.directory, self.ports = directory, ports
        self.port = free_port()
        self.process: Process | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Starts it and waits until it listens."""
        servers = ''.join('  server node%d 127.0.0.1:%d check\n' % (number, port)
                          for number, port in enumerate(self.ports, 1))
        path = self.directory / 'haproxy.cfg'
        # the socket's path may have 107 bytes, so it is relative to the directory that HAProxy starts in
        path.write_text('''global
  maxconn 2000
  stats socket unix@admin.sock mode 600 level admin
defaults
  mode tcp
  timeout connect 2s
  timeout client 10m
  timeout server 10m
  timeout check 2s
  retries 2
  option redispatch
frontend mysql
  bind 127.0.0.1:%d
  default_backend nodes
backend nodes
  balance roundrobin
  option tcp-check
  tcp-check connect
  default-server inter 500ms fastinter 250ms downinter 500ms rise 2 fall 2 on-marked-down shutdown-sessions
%s''' % (self.port, servers))
        self.process = Process(['haproxy', '-db', '-f', str(path)], self.directory / 'log', quiet_environment(),
                               self.directory)
        deadline = time.monotonic() + 10
        while not (self.directory / 'admin.sock').exists():
            if self.process.ended() or time.monotonic() > deadline:
                raise RuntimeError('HAProxy does not start:\n%s' % self.process.tail())
            time.sleep(0.05)

    def tell(self, *commands: str) -> str:
        """Commands for its administrator's socket, such as `disable server nodes/node1`."""
        answer = b''
        for command in commands:
            # opened by a short path: see `start`
            place = os.open(self.directory, os.O_PATH)
            try:
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(5)
                    connection.connect('/proc/self/fd/%d/admin.sock' % place)
                    connection.sendall(command.encode() + b'\n')
                    while part := connection.recv(65536):
                        answer += part
            finally:
                os.close(place)
        return answer.decode()

    def stop(self) -> None:
        """Ends it."""
        if self.process:
            self.process.stop()
