"""Stock of listings: reservations and movements."""
