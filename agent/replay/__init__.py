"""A run made again from its record, and compared picture by picture.

Must not know: how a run is planned live: every answer comes from the record, or it fails.
Others may use: verify (verify).
"""
