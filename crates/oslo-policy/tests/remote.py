"""Decides rules of one http: check each by the Python oslo.policy, for the test of remote checks.

The argument is a JSON object with urls, content_type, target and creds; the decisions are printed as a JSON list.
"""

import json
import sys
from typing import Any

from oslo_config import cfg
from oslo_policy import opts
from oslo_policy import policy


def decide(question: dict[str, Any]) -> list[bool]:
    """The decisions, in the order of the URLs."""
    decisions = []
    for url in question['urls']:
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
        opts._register(conf)
        conf.set_override('policy_file', '/nonexistent', 'oslo_policy')
        conf.set_override('remote_content_type', question['content_type'], 'oslo_policy')
        enforcer = policy.Enforcer(conf)
        enforcer.register_default(policy.RuleDefault('asked', url))
        decisions.append(bool(enforcer.enforce('asked', question['target'], question['creds'])))
    return decisions


print(json.dumps(decide(json.loads(sys.argv[1]))))
