"""A transport without a socket, for protocol classes whose turns a test counts."""

import asyncio


class Wire(asyncio.Transport):
    """Keeps what is written; says whether it is read, as the event loop would see it."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.protocol = None
        self.is_read, self.ended, self.closed, self.aborted = True, False, False, False

    def write(self, data):
        self.written += data

    def write_eof(self):
        self.ended = True

    def can_write_eof(self):
        return True

    def get_write_buffer_size(self):
        return 0

    def pause_reading(self):
        self.is_read = False

    def resume_reading(self):
        self.is_read = True

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def abort(self):
        self.closed = self.aborted = True

    def set_protocol(self, protocol):
        self.protocol = protocol
