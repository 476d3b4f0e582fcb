"""A Stripe server that somebody else wrote, a process of its own on loopback: `localstripe_process.py PORT`."""

import sys

from aiohttp import web
from localstripe.server import app

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
