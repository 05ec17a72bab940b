"""What the tables are made of: versions, indexes, the chain of hashes, rows read and checked, a database opened or
copied.

Must not know: what a run is, beyond its rows.
Others may use: chain (ALONE, OF_A_STEP), checked (answer_row, checked_rating), copying (copy_run), engine (Database),
indexes (DONE, FAILED, HEARD, SHOWN), messages (chat_messages, with_contents, without_contents), migrations
(MIGRATIONS, check_ours, explained, result_code, transaction), querying (answered), reading (Opened, connect_to_read,
opened), rows (DAMAGE, fetched, legible, note, records).
"""
