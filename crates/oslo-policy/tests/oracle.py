"""Answers by the Python oslo.policy, for the differential test.

One JSON object a line on standard input, one a line on standard output, until
the input ends.  Nothing is sent over a network: the answers of http: checks
are made up here, from the URL, as the Rust side makes them up.
"""

import ast
import json
import logging
import sys
import warnings

from oslo_config import cfg
from oslo_policy import _external
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
    return {'results': results, 'rules': rules}


def literal(request):
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
