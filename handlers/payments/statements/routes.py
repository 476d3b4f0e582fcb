"""The route of statements."""

from handlers.contract import Downloads, Permission, Route
from handlers.payments.statements.files import CSV, PDF, make_file
from handlers.payments.statements.get_statement import get_statement
from protocols.errors import InvalidInput, TemporarilyUnavailable
from protocols.payments.statements import GetStatement, Statement, StatementTooLong

ROUTES = (
    Route(
        domain="payments",
        command=GetStatement,
        reply=Statement,
        function=get_statement,
        method="GET",
        path="/v1/wallets/{currency}/statement",
        permission=Permission.SIGNED_IN,
        cost=5,
        downloads=Downloads(make_file, (CSV.partition(";")[0], PDF)),
        refusals=(InvalidInput, StatementTooLong, TemporarilyUnavailable),
    ),
)
