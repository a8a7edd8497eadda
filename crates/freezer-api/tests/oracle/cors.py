"""Records the answers of oslo.middleware's CORS filter in cors.json.

Each case has the options of [cors], a request, and the status and the Vary header of the application behind the filter.
`cors.py FILE` writes the answers into the file. `cors.py --check FILE` compares them, and fails if one differs.
"""

import json
import sys

import webob
from oslo_config import cfg
from oslo_middleware import cors


def application(case):
    def answer(environ, start_response):
        headers = [("Content-Type", "application/json")]
        if case.get("vary"):
            headers.append(("Vary", case["vary"]))
        start_response(f"{case['status']} Status", headers)
        return [b"{}"]

    return answer


def record(options, case):
    conf = cfg.ConfigOpts()
    conf.register_opts(cors.OPTS, "cors")
    conf([])
    for name, value in options.items():
        conf.set_override(name, value, group="cors")
    request = webob.Request.blank("/", method=case["method"])
    for name, value in case["headers"]:
        key = "HTTP_" + name.upper().replace("-", "_")
        # A server joins the values of a repeated header.
        before = request.environ.get(key)
        request.environ[key] = value if before is None else f"{before},{value}"
    response = request.get_response(cors.CORS(application(case), conf))
    names = [name for name in response.headers if name.lower().startswith("access-control-") or name == "Vary"]
    return {"status": response.status_code, "headers": {name.lower(): response.headers[name] for name in sorted(names)}}


def main():
    check = sys.argv[1] == "--check"
    path = sys.argv[-1]
    with open(path, encoding="utf-8") as file:
        groups = json.load(file)
    wrong = 0
    for group in groups:
        for case in group["cases"]:
            answer = record(group["options"], case)
            if check and case.get("answer") != answer:
                print(f"{group['options']} {case}: {answer}")
                wrong += 1
            case["answer"] = answer
    if check:
        sys.exit(1 if wrong else 0)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(groups, file, indent=1)
        file.write("\n")


main()
