"""Programs as processes, each in a process group of its own and with a log, and the ports that they listen on."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def free_port() -> int:
    """A port without a listener, from FREEZER_E2E_PORTS (`first-last`), by default below those of outgoing connections."""
    first, last = map(int, os.environ.get('FREEZER_E2E_PORTS', '20000-31999').split('-'))
    for port in random.sample(range(first, last + 1), last - first + 1):
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
            return port
    raise RuntimeError('no free port between %d and %d' % (first, last))


def wait(seconds: float, condition: Callable[[], object], pause: float = 0.25) -> object:
    """Returns the condition's value as soon as it is true, or its last value when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(pause)


def quiet_environment() -> dict[str, str]:
    """The environment without the settings of OpenStack clients, of proxies and of the test's own Python."""
    return {key: value for key, value in os.environ.items()
            if not key.startswith('OS_') and not key.lower().endswith('_proxy') and key != 'PYTHONPATH'}


class Process:
    """A program in a session of its own, with a log of its output, or one of each kind if `errors` is given."""

    def __init__(self, command: list[str], log: Path, env: dict[str, str], cwd: Path | None = None,
                 errors: Path | None = None) -> None:
        self.log = log
        with log.open('ab') as output, (errors or log).open('ab') as error:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=error, env=env,
                                          cwd=cwd, start_new_session=True)

    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self.child.poll() is not None

    def stop(self, seconds: float = 10) -> int | None:
        """Ends it and its own child processes; returns its exit code."""
        for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 10)):
            if self.ended():
                break
            # a stopped process must run to receive the signal
            self.child.send_signal(signal.SIGCONT)
            self.child.send_signal(number)
            try:
                self.child.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.child.poll()

    def kill(self) -> None:
        """Ends it at once, as a crash does."""
        self.child.kill()
        self.child.wait(20)

    def pause(self) -> None:
        """Stops it without ending it: its connections stay open and nothing answers."""
        self.child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on after `pause`."""
        self.child.send_signal(signal.SIGCONT)

    def resident_bytes(self) -> int:
        """Its resident memory."""
        return memory(self.child.pid, 'VmRSS')

    def peak_bytes(self) -> int:
        """The highest value that its resident memory had."""
        return memory(self.child.pid, 'VmHWM')

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors='replace')[-3000:]


def memory(pid: int, key: str) -> int:
    """A number of bytes from /proc/PID/status; 0 if the process has ended."""
    try:
        for line in Path('/proc/%d/status' % pid).read_text().splitlines():
            if line.startswith(key + ':'):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
