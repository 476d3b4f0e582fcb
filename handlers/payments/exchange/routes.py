"""The routes of exchange."""

from handlers.contract import Permission, Route
from handlers.payments.exchange.exchange import exchange
from handlers.payments.exchange.quote_exchange import quote_exchange
from handlers.payments.exchange.set_exchange_terms import set_exchange_terms
from protocols.errors import InvalidInput
from protocols.payments import exchange as words
from protocols.payments.refusals import AccountFrozen, BalanceTooLarge, InsufficientFunds

ROUTES = (
    Route(
        domain="payments",
        command=words.QuoteExchange,
        reply=words.ExchangeQuote,
        function=quote_exchange,
        method="POST",
        path="/v1/exchange-quotes",
        permission=Permission.SIGNED_IN,
        status=201,
        cost=2,
        key="required",
        refusals=(
            InvalidInput,
            words.RatesUnavailable,
            words.CurrencyNotExchanged,
            words.AmountTooSmall,
            words.StockExhausted,
        ),
    ),
    Route(
        domain="payments",
        command=words.Exchange,
        reply=words.Exchanged,
        function=exchange,
        method="POST",
        path="/v1/exchange-quotes/{quote_id}/exchange",
        permission=Permission.SIGNED_IN,
        cost=5,
        key="required",
        refusals=(
            words.QuoteNotFound,
            words.QuoteUsed,
            words.QuoteExpired,
            words.StockExhausted,
            InsufficientFunds,
            AccountFrozen,
            BalanceTooLarge,
        ),
    ),
    Route(
        domain="payments",
        command=words.SetExchangeTerms,
        reply=words.ExchangeTerms,
        function=set_exchange_terms,
        method="PUT",
        path="/v1/admin/exchange-terms/{currency}",
        permission=Permission.FINANCE,
        refusals=(InvalidInput,),
    ),
)
