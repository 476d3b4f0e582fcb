"""The pages that serve files beside the route tables: photos and tiles of the transparency log."""

from handlers.listings.photos.tools import PhotoTools
from protocols.goods import PHOTOS_PATH
from server.foundation import Foundation
from server.http.callers import Callers
from server.http.exchange import Handler
from server.http.photos import PhotoPages
from server.http.tiles import PATH as TILES_PATH
from server.http.tiles import TilePages


def file_pages(base: Foundation, callers: Callers) -> dict[str, Handler]:
    """Return the pages by their paths."""
    connection = base.database.connection
    return {
        PHOTOS_PATH: PhotoPages(connection, base.need(PhotoTools), callers),
        TILES_PATH: TilePages(connection, callers),
    }
