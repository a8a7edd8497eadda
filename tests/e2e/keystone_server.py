"""Serves Keystone on a port of the loopback: `keystone_server.py PORT`, with OS_KEYSTONE_CONFIG_DIR set."""

import sys

import waitress

port = int(sys.argv.pop())
# the application reads a command line of its own
from keystone.server.wsgi import initialize_public_application  # noqa: E402

waitress.serve(initialize_public_application(), host='127.0.0.1', port=port, threads=1)
