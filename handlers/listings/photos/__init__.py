"""Photos of listings: upload, order, captions, removal."""
