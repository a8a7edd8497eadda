"""Documents as clients send them: small, whole, and with one value replaced by a bad or odd one."""
import copy
import json
from collections.abc import Iterator
from typing import Any

#: The place of one value in a document.
Place = tuple[str | int, ...]

FREEZER_ACTION = {
    'action': 'backup', 'mode': 'fs', 'backup_name': 'nightly', 'container': '/var/backups',
    'path_to_backup': '/etc', 'timeout': 3600, 'priority': 1, 'log_file': '/var/log/f.log', 'storage': 'local',
    'engine_name': 'tar', 'no_incremental': True, 'max_segment_size': 1048576, 'exclude': '*.tmp',
}
SCHEDULE = {
    'schedule_interval': '2 days', 'schedule_start_date': '2030-01-02T03:04:05',
    'schedule_end_date': '2031-01-02T03:04:05', 'event': '', 'status': 'scheduled', 'result': '',
}
FULL = {
    'clients': {
        'client_id': 'node-2', 'hostname': 'node-2.example', 'description': 'a node', 'is_central': False,
        'uuid': '', 'supported_actions': ['backup', 'restore'],
        'supported_modes': ['fs', 'mysql'], 'supported_storages': ['local', 's3'], 'supported_engines': ['tar']},
    'actions': {
        'freezer_action': FREEZER_ACTION, 'max_retries': 3, 'max_retries_interval': 60, 'mandatory': True,
        'action_id': ''},
    'jobs': {
        'client_id': 'node-1', 'description': 'nightly', 'job_id': '', 'session_id': '', 'session_tag': 0,
        'job_schedule': SCHEDULE, 'action_defaults': {'log_file': '/var/log/all.log'},
        'job_actions': [{'freezer_action': FREEZER_ACTION, 'max_retries': 2, 'max_retries_interval': 5,
                         'mandatory': False}]},
    'sessions': {
        'description': 'all nodes', 'hold_off': 3600, 'session_tag': 0, 'status': 'active', 'result': '',
        'time_start': -1, 'time_end': -1, 'time_started': -1, 'time_ended': -1, 'schedule': SCHEDULE},
    'backups': {
        'container': '/var/backups', 'hostname': 'node-1', 'backup_name': 'nightly', 'time_stamp': 1500000000,
        'curr_backup_level': 0, 'mode': 'fs', 'job_id': 'given-job', 'status': 'available', 'path': '/etc'},
}
SMALL = {
    'clients': {'client_id': 'node-2'},
    'actions': {'freezer_action': {'action': 'backup'}},
    'jobs': {'client_id': 'node-1', 'job_actions': []},
    'sessions': {'schedule': {}},
    'backups': {'container': 'c', 'hostname': 'h', 'backup_name': 'b'},
}


def nested(levels: int) -> Any:
    """An object in an object, so many levels deep."""
    value: Any = 'deep'
    for _ in range(levels):
        value = {'a': value}
    return value


#: Values that stand in for a right one.
ODD = {
    'null': None, 'true': True, 'false': False, 'zero': 0, 'one': 1, 'minus': -1, 'seven': 7, 'half': 1.5,
    'int32': 2147483648, 'int64': 9223372036854775808, 'float': 1e300, 'empty': '', 'word': 'junk', 'digits': '12',
    'spaces': ' 7 ', 'list': [], 'list-of-null': [None], 'list-of-words': ['junk', 'junk'], 'object': {},
    'object-of-null': {'a': None}, 'accents': 'Übergrößenträger', 'letters': 'узел-1', 'emoji': 'disk \U0001f4be',
    'nul': 'a\u0000b', 'line': 'one\ntwo\n', 'slash': 'a/b', 'dots': 'a.b.c', 'quote': "'; DROP TABLE jobs; --",
    'long-64': 'x' * 65, 'long-255': 'y' * 256, 'long-text': 'z' * 70000, 'nested': nested(20),
}


def places(document: Any, at: Place = ()) -> Iterator[Place]:
    """Every place of a document that holds a value."""
    inner = document.items() if isinstance(document, dict) else (
        enumerate(document) if isinstance(document, list) else ())
    for key, value in inner:
        yield (*at, key)
        yield from places(value, (*at, key))


def replaced(document: Any, place: Place, value: Any) -> Any:
    """A copy with another value at a place."""
    changed = copy.deepcopy(document)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = copy.deepcopy(value)
    return changed


def without(document: Any, place: Place) -> Any:
    """A copy without the value at a place."""
    changed = copy.deepcopy(document)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    del inner[place[-1]]
    return changed


def spelled(place: Place) -> str:
    """A place in words."""
    return '.'.join(map(str, place))


#: Bodies that are no document of any kind; a text stands for the bytes that are sent.
SHAPES = {
    'empty': '', 'empty object': '{}', 'empty list': '[]', 'list': '[1]', 'list of objects': '[{}]', 'text': '"x"',
    'number': '5', 'zero': '0', 'null': 'null', 'true': 'true', 'false': 'false', 'not JSON': 'junk',
    'half': '{"a": ', 'trailing': '{} {}', 'not UTF-8': '{"a": "\xff"}', 'two keys': '{"a": 1, "a": 2}',
    'NaN': '{"a": NaN}', 'infinity': '{"a": -Infinity}', 'surrogate': '{"a": "\\ud800"}', 'spaces': '   ',
    'mark': '\xef\xbb\xbf{}', 'deep': '[' * 200 + ']' * 200, 'big number': '{"a": 1e999}',
    'private number': json.dumps({'$serde_json::private::Number': '1'}),
    'private value': json.dumps({'$serde_json::private::RawValue': '[1]'}),
}
