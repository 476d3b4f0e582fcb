"""ETags of answers."""

from server.http.conditional import version_tag


def test_a_version_is_the_tag():
    assert version_tag(b'{"version":3,"price":{"amount":1}}') == b'"3"'


def test_an_answer_that_changes_by_itself_is_another_one_after_each_fall():
    """A Dutch price falls without an event: a reader who has the old one must not be told that nothing changed."""
    falls = [b"2026-11-24T10:00:00.000Z", b"2026-11-24T10:01:00.000Z"]
    tags = [version_tag(b'{"version":3,"next_price_at":"%b"}' % at) for at in falls]
    assert tags[0] != tags[1]
    assert version_tag(b'{"version":3,"next_price_at":null}') == b'"3"'
