"""The words on the wire: values, errors, topics, one vocabulary file per domain, and the codecs."""
