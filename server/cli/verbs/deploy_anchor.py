"""`deploy-anchor`: puts the contract that keeps anchors on the chain of the settings."""

import asyncio
from argparse import Namespace

from handlers.settings import Settings
from server.cli.deploy_anchor import deploy_anchor
from server.cli.verb import Verb
from server.local.up import UpError
from storage.ledger.chain_errors import ChainError


def _deploy(_chosen: Namespace) -> int:
    try:
        place = asyncio.run(deploy_anchor(Settings.from_environment(), print))
    except ChainError as error:
        raise UpError(f"{error.problem}: {error.detail}") from None
    print(f"set MNBARA_CHAIN_CONTRACT={place} and start the system again")
    return 0


DEPLOY_ANCHOR = Verb(
    name="deploy-anchor",
    meaning="put the contract that keeps anchors of the log on the chain of the settings",
    example="MNBARA_CHAIN_URL=http://127.0.0.1:8545 MNBARA_CHAIN_KEY=chain.key ./mnbara deploy-anchor",
    run=_deploy,
)
