"""The requests of clients and their outcomes: one record for each request, in the order in which they were sent.

A record is made before the request goes out and completed when its answer is there, as Jepsen does it:

| outcome | |
|---|---|
| ok | the answer confirms it |
| fail | the answer says that it was refused (4xx): it must have no effect |
| unknown | an error of the server, or no answer: it may have had its effect or not, but not twice |
| unsent | no process accepted a connection |
"""

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

Json = Any


@dataclass(slots=True)
class Operation:
    """One request."""

    worker: str
    kind: str
    # the subject (a document's mark, a register, a session) and the value that is written
    key: str
    value: Json
    invoked: float
    # wall-clock time
    clock: float
    process: str = ''
    completed: float | None = None
    outcome: str = 'unknown'
    status: int = 0
    result: Json = None
    note: str = ''

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.completed or self.invoked) - self.invoked

    @property
    def ok(self) -> bool:
        """Whether it was confirmed."""
        return self.outcome == 'ok'


@dataclass
class History:
    """The records of one scenario; with a file, every event is a line there as well."""

    path: Path | None = None
    operations: list[Operation] = field(default_factory=list)
    _file: TextIO | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.path:
            self._file = self.path.open('w')

    def invoke(self, worker: str, kind: str, key: str, value: Json = None) -> Operation:
        """Begins a record."""
        operation = Operation(worker, kind, key, value, time.monotonic(), time.time())
        self.operations.append(operation)
        self._write('invoke', operation)
        return operation

    def complete(self, operation: Operation, outcome: str, status: int, result: Json = None, note: str = '') -> None:
        """Completes a record."""
        operation.outcome, operation.status, operation.result, operation.note = outcome, status, result, note
        operation.completed = time.monotonic()
        self._write(outcome, operation)

    def of(self, *kinds: str) -> list[Operation]:
        """The records of some kinds, in the order in which they were sent."""
        return [operation for operation in self.operations if operation.kind in kinds]

    def close(self) -> None:
        """Ends the file."""
        with self._lock:
            if self._file:
                self._file.close()
                self._file = None

    def _write(self, event: str, operation: Operation) -> None:
        with self._lock:
            if self._file:
                self._file.write(json.dumps([
                    round(operation.completed or operation.invoked, 4), event, operation.worker, operation.kind,
                    operation.key, operation.value, operation.process, operation.status, operation.result,
                    operation.note]) + '\n')
