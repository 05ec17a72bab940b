"""The record: what every step did, in SQLite, and the numbers that follow from it.

Must not know: how it is shown, or who wrote it.
Others may use: ledger (alarm_of, ledger_facts), migrations (MIGRATIONS, check_ours, explained), reading
(connect_to_read), store (Store), summary (adapter_facts, latest, ordered, ratings_by_image, round_facts,
round_images, summarise), trail (StoreTrail).
"""
