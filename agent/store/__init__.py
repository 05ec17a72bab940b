"""The record: what every step did, in SQLite, and the numbers that follow from it.

Must not know: how it is shown, or who wrote it.
Others may use: home (open_store), ledger (alarm_of, ledger_facts), store (Store), summary (RatingsOf, latest,
ordered, ratings_by_image, round_images, run_lines, summarise, wanting), trail (StoreTrail), views (Views), wholeness
(OLD, changed_files, check_read, check_whole, damage, unreadable).
"""
