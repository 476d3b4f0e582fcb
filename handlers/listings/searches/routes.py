"""Saved searches: their part of the domain's table of contents."""

from handlers.contract import Permission, Route
from handlers.listings.searches.delete_search import delete_search
from handlers.listings.searches.list_searches import list_searches
from handlers.listings.searches.save_search import save_search
from handlers.listings.searches.update_search import update_search
from protocols.listings import saved_searches as words
from protocols.listings.refusals import CategoryNotFound

ROUTES: tuple[Route, ...] = (
    Route(
        domain="listings",
        command=words.SaveSearch,
        reply=words.SavedSearch,
        function=save_search,
        method="POST",
        path="/v1/saved-searches",
        permission=Permission.SIGNED_IN,
        status=201,
        cost=5,
        refusals=(CategoryNotFound, words.TooManySearches),
    ),
    Route(
        domain="listings",
        command=words.ListSearches,
        reply=words.SavedSearches,
        function=list_searches,
        method="GET",
        path="/v1/saved-searches",
        permission=Permission.SIGNED_IN,
    ),
    Route(
        domain="listings",
        command=words.UpdateSearch,
        reply=words.SavedSearch,
        function=update_search,
        method="PATCH",
        path="/v1/saved-searches/{search_id}",
        permission=Permission.SIGNED_IN,
        cost=5,
        refusals=(words.SearchNotFound, CategoryNotFound),
    ),
    Route(
        domain="listings",
        command=words.DeleteSearch,
        reply=None,
        function=delete_search,
        method="DELETE",
        path="/v1/saved-searches/{search_id}",
        permission=Permission.SIGNED_IN,
        status=204,
        refusals=(words.SearchNotFound,),
    ),
)
