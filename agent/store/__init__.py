"""The record: what every step did, in SQLite, and the numbers that follow from it.

Must not know: how it is shown, or who wrote it.
Others may use: home (open_store), ledger (alarm_of, ledger_facts), migrations (MIGRATIONS, check_ours, explained),
store (Store), summary (RatingsOf, latest, ordered, ratings_by_image, round_images, run_lines, summarise), trail
(StoreTrail), views (Views).
"""
