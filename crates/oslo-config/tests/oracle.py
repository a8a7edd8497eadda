"""The answers of oslo.config itself, for the differential test.

Reads a JSON object from standard input and writes one to standard output:
{"cases": [{"texts": [...], "env": {...}, "decls": [...]}, ...], "samples": [[...decls], ...]}
"""

import io
import json
import logging
import os
import sys
import tempfile

from oslo_config import cfg
from oslo_config import generator

logging.disable(logging.CRITICAL)


def option(decl):
    """Returns an oslo.config option from its description."""
    common = {
        'help': decl['help'] or None,
        'required': decl['required'],
        'advanced': decl['advanced'],
        'sample_default': decl['sample_default'],
        'deprecated_opts': [
            cfg.DeprecatedOpt(name or None, group=group or None)
            for group, name in decl['deprecated']
        ],
    }
    kind, default = decl['kind'], decl['default']
    if kind == 'MultiStr' and default is not None:
        default = default.splitlines()
    common['default'] = default
    choices = decl['choices'] or None
    limits = {'min': decl['min'], 'max': decl['max']}
    name = decl['name']
    if kind == 'Str':
        return cfg.StrOpt(name, choices=choices, **common)
    if kind == 'Bool':
        return cfg.BoolOpt(name, **common)
    if kind == 'Int':
        numbers = [int(c) for c in choices] if choices else None
        return cfg.IntOpt(name, choices=numbers, **limits, **common)
    if kind == 'Float':
        return cfg.FloatOpt(name, **limits, **common)
    if kind == 'Port':
        return cfg.PortOpt(name, **limits, **common)
    if kind == 'List':
        item = cfg.types.String(choices=choices)
        return cfg.ListOpt(name, item_type=item, **common)
    if kind == 'MultiStr':
        return cfg.MultiStrOpt(name, **common)
    if kind == 'Dict':
        return cfg.DictOpt(name, **common)
    if kind == 'HostAddress':
        return cfg.HostAddressOpt(name, **common)
    if kind == 'Uri':
        return cfg.URIOpt(name, **common)
    raise AssertionError(kind)


def plain(value):
    """Returns a value with its type, for JSON."""
    if value is None:
        return ['none', None]
    if isinstance(value, bool):
        return ['bool', value]
    if isinstance(value, int):
        return ['int', str(value)]
    if isinstance(value, float):
        return ['float', repr(value)]
    if isinstance(value, dict):
        return ['dict', sorted(value.items())]
    if isinstance(value, list):
        return ['list', value]
    return ['str', value]


def error(exc):
    """Returns the class of an error, and the name if it is unknown."""
    name = getattr(exc, 'opt_name', None) or getattr(exc, 'group_name', None)
    return {'error': type(exc).__name__, 'name': name, 'text': str(exc)}


def lookup(conf, decl):
    group = None if decl['group'] == 'DEFAULT' else decl['group']
    try:
        value = conf._get(decl['name'].replace('-', '_'), group)
        return {'ok': plain(value)}
    except Exception as exc:
        return error(exc)


def answer(case, directory):
    files = []
    for index, text in enumerate(case['texts']):
        path = os.path.join(directory, f'{index}.conf')
        with open(path, 'w', encoding='utf-8', newline='') as out:
            out.write(text)
        files.append(path)
    conf = cfg.ConfigOpts()
    for decl in case['decls']:
        group = None if decl['group'] == 'DEFAULT' else decl['group']
        conf.register_opt(option(decl), group=group)
    before = dict(os.environ)
    os.environ.update(case['env'])
    try:
        conf(
            args=[],
            project='oracle',
            prog='oracle',
            default_config_files=files,
            default_config_dirs=[],
        )
        return {'ok': [lookup(conf, decl) for decl in case['decls']]}
    except Exception as exc:
        return error(exc)
    finally:
        os.environ.clear()
        os.environ.update(before)


class _Settings:
    wrap_width = 70
    minimal = False
    summarize = False


def sample(decls):
    out = io.StringIO()
    formatter = generator._OptFormatter(_Settings, output_file=out)
    data = {
        'object': cfg.OptGroup('svc', help='About the group.'),
        'namespaces': [('oracle', [option(decl) for decl in decls])],
    }
    generator._output_opts(formatter, 'svc', data)
    return out.getvalue()


def main():
    asked = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as directory:
        cases = [answer(case, directory) for case in asked['cases']]
    samples = [sample(decls) for decls in asked['samples']]
    json.dump({'cases': cases, 'samples': samples}, sys.stdout)


if __name__ == '__main__':
    main()
