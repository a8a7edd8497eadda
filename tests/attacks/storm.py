"""Many clients that do the same as often as they can: a program of its own, so that it does not hold up who measures.

    storm.py scans|tokens PORT CLIENTS SECONDS
"""

import http.client
import json
import sys
import threading
import time
import uuid


def main() -> None:
    """Runs the clients until the time is over."""
    kind, port, clients, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
        while time.monotonic() < end:
            headers = {'Accept': 'application/json', 'Content-Type': 'application/json'}
            if kind == 'tokens':
                headers['X-Auth-Token'] = uuid.uuid4().hex
                path, body = '/v2/p/jobs', None
            else:
                # text anywhere: no index helps
                path, body = '/v2/noisy/backups', json.dumps({'match': [{'_all': 'nowhere-%d' % number}]})
            try:
                connection.request('GET', path, body, headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status in (429, 503):
                    time.sleep(0.1)
            except (OSError, http.client.HTTPException):
                connection.close()
                time.sleep(0.05)

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(max(0.0, end - time.monotonic()))


if __name__ == '__main__':
    main()
