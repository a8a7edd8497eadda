"""Answers questions with the Python oslo.policy, for the differential test.

Reads one JSON object per line from standard input and writes one per line to
standard output, until the input ends.  Nothing is sent over a network: the
answers of http: checks are derived from the URL, as on the Rust side.
"""

import ast
import json
import keyword
import logging
import re
import sys
import warnings

from oslo_config import cfg
from oslo_policy import _external
from oslo_policy import _parser
from oslo_policy import generator
from oslo_policy import opts
from oslo_policy import policy
from requests.exceptions import Timeout


class Answer:
    def __init__(self, text):
        self.text = text

    def close(self):
        pass


def post(url, **kwargs):
    if 'slow' in url:
        raise Timeout()
    return Answer('"True"' if 'allow' in url else 'False')


NAME = r'[A-Za-z_][A-Za-z0-9_]*'
PATH = re.compile(rf'{NAME}(?:[-.]{NAME})*')
QUOTED = re.compile(r"""'[^'\\\x00-\x1f\x7f-\x9f]*'|"[^"\\\x00-\x1f\x7f-\x9f]*\"""")
TEMPLATE = re.compile(r'(?:[^%]|%%|%\([^()]*\)s)*', re.DOTALL)


def is_supported_left(kind):
    """Whether the documentation of the crate includes this left side."""
    if QUOTED.fullmatch(kind) or kind in ('True', 'False', 'None'):
        return True
    if re.fullmatch(r'-?[0-9]+', kind):
        return str(int(kind)) == kind and -2**63 <= int(kind) < 2**63
    if re.fullmatch(r'-?[0-9]+\.[0-9]+', kind):
        return repr(float(kind)) == kind
    words = re.split('[-.]', kind)
    return bool(PATH.fullmatch(kind)) and not any(
        keyword.iskeyword(word) for word in words)


def is_supported_right(match):
    return bool(TEMPLATE.fullmatch(match))


def is_supported(rule):
    """Whether the documentation of the crate includes this check."""
    if not isinstance(rule, str):
        return False
    kind, colon, match = rule.partition(':')
    if not colon or kind == 'rule':
        return True
    return is_supported_right(match) and (
        kind in ('role', 'http', 'https') or is_supported_left(kind))


# The checks that the parser was given and that the crate does not include.
unsupported = []
parse_check = _parser._parse_check


def recording_parse_check(rule):
    if not is_supported(rule):
        unsupported.append(repr(rule))
    return parse_check(rule)


_parser._parse_check = recording_parse_check


def rule_default(given):
    old = given.get('deprecated')
    if old:
        old = policy.DeprecatedRule(
            old['name'], old['check_str'],
            deprecated_reason=old['reason'], deprecated_since=old['since'])
    common = {
        'scope_types': given['scope_types'] or None,
        'deprecated_rule': old,
    }
    if given.get('operations'):
        return policy.DocumentedRuleDefault(
            given['name'], given['check_str'], given['description'],
            [{'method': m, 'path': p} for m, p in given['operations']],
            **common)
    return policy.RuleDefault(
        given['name'], given['check_str'], given.get('description'), **common)


def enforce(request):
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    opts._register(conf)
    for name in ('policy_file', 'policy_dirs', 'policy_default_rule',
                 'enforce_new_defaults'):
        conf.set_override(name, request[name], 'oslo_policy')
    unsupported.clear()
    enforcer = policy.Enforcer(conf)
    enforcer.register_defaults([rule_default(d) for d in request['defaults']])
    try:
        enforcer.load_rules()
    except Exception as error:
        return {'load_error': repr(error)}
    results = []
    for rule, target, creds in request['queries']:
        try:
            allowed = enforcer.enforce(rule, target, dict(creds))
            results.append('allow' if allowed else 'deny')
        except Exception as error:
            results.append('broken ' + repr(error)[:200])
    rules = {name: str(check) for name, check in enforcer.rules.items()
             if isinstance(name, str)}
    return {'results': results, 'rules': rules,
            'unsupported': list(unsupported)}


def literal(request):
    return {'supported': is_supported_left(request['kind']),
            **literal_answer(request)}


def literal_answer(request):
    try:
        text = str(ast.literal_eval(request['kind']))
        text.encode()
        return {'literal': text}
    except UnicodeEncodeError:
        return {'invalid': 'surrogate'}
    except ValueError:
        return {'path': True}
    except Exception as error:
        return {'invalid': repr(error)}


def render(request):
    return {'supported': is_supported_right(request['template']),
            **render_answer(request)}


def render_answer(request):
    try:
        text = request['template'] % request['target']
        text.encode()
        return {'text': text}
    except KeyError:
        return {'missing': True}
    except Exception as error:
        return {'broken': repr(error)}


def sample(request):
    return {'text': ''.join(
        generator._format_rule_default_yaml(rule_default(d))
        for d in request['defaults'])}


def main():
    warnings.simplefilter('ignore')
    logging.disable(logging.CRITICAL)
    _external.requests.post = post
    operations = {'enforce': enforce, 'literal': literal, 'render': render,
                  'sample': sample}
    for line in sys.stdin:
        request = json.loads(line)
        answer = operations[request['op']](request)
        print(json.dumps(answer), flush=True)


main()
