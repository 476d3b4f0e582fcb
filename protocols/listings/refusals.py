"""The refusals of listings that handlers of other domains give as well."""

from protocols.errors import Refusal


class CategoryNotFound(Refusal):
    """There is no such category; `GET /v1/categories` lists them."""

    code, number, status = "category_not_found", 601, 422


class ListingNotFound(Refusal):
    """There is no such listing."""

    code, number, status = "listing_not_found", 600, 404


class OwnListing(Refusal):
    """Sellers do not buy from themselves."""

    code, number, status = "own_listing", 605, 409
