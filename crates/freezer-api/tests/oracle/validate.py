"""Judges request bodies with the document classes of an installed freezer-api.

Standard input: one JSON list [kind, body] a line; standard output: one JSON list
[accepted, reason] a line, in the same order. The kind "words" asks instead for the ranges of
code points that the service's identifiers may hold, and for those that are not assigned.

What is asked is what the service asks before it turns to the database: whether a body is there
at all, the job's own class (defaults, actions), then the classes that hold the schemas. Any
exception is a refusal; the database's own are not seen here.
"""

import json
import logging
import re
import sys
import unicodedata

from freezer_api.api.v2 import jobs
from freezer_api.common import elasticv2_utils as docs
from freezer_api.common import json_schemas

logging.disable(logging.CRITICAL)


class Refused(Exception):
    pass


def present(doc):
    if not doc:
        raise Refused('nothing sent')
    return doc


def job(doc, finish):
    job = jobs.Job(doc)
    for action in job.actions():
        if not action.action_id:
            docs.ActionDoc.create(action.doc, 'u', 'p')
    finish(job.doc)


def backup(doc):
    if not docs.BackupMetadataDoc('p', 'u', present(doc)).is_valid():
        raise Refused('backup')


JUDGES = {
    'Client': lambda d: docs.ClientDoc.create(present(d), 'p', 'u'),
    'Job': lambda d: job(d, lambda d: docs.JobDoc.create(d, 'p', 'u')),
    'JobPatch': lambda d: job(d, docs.JobDoc.create_patch),
    'JobReplace': lambda d: job(d, lambda d: docs.JobDoc.update(d, 'p', 'u', 'j')),
    'Action': lambda d: docs.ActionDoc.create(present(d), 'u', 'p'),
    'ActionPatch': docs.ActionDoc.create_patch,
    'ActionReplace': lambda d: docs.ActionDoc.update(d, 'u', 'a', 'p'),
    'Session': lambda d: docs.SessionDoc.create(present(d), 'u', 'p'),
    'SessionPatch': docs.SessionDoc.create_patch,
    'SessionReplace': lambda d: docs.SessionDoc.update(present(d), 'u', 's', 'p'),
    'Backup': backup,
    'BackupPatch': lambda d: docs.BackupMetadataDoc.create_patch(present(d)),
}


def words():
    """[first, last] of each range in an identifier, and of each range without a character."""
    def ranges(wanted):
        found, start = [], None
        for code in range(0x110001):
            here = code < 0x110000 and not 0xd800 <= code < 0xe000 and wanted(chr(code))
            if here and start is None:
                start = code
            elif not here and start is not None:
                found.append([start, code - 1])
                start = None
        return found

    pattern = json_schemas.action_schema['properties']['action_id']['pattern']
    word = re.compile(pattern).search
    # "$" also matches before a line feed at the end, so that one asks for nothing here.
    return [ranges(lambda c: word(c) and c != '\n'),
            ranges(lambda c: unicodedata.category(c) == 'Cn')]


def main():
    for line in sys.stdin:
        kind, body = json.loads(line)
        if kind == 'words':
            print(json.dumps(words()))
            continue
        try:
            JUDGES[kind](body)
        except Exception as error:
            print(json.dumps([False, f'{type(error).__name__}: {error}'.splitlines()[0][:200]]))
        else:
            print(json.dumps([True, '']))


if __name__ == '__main__':
    main()
