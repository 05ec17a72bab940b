"""The indexes that keep a question's time the same however many runs, steps and ratings there are beside what it asks about.

Knows SQL alone. `SHOWN` and the conditions of the partial indexes are written out in queries letter by letter: SQLite takes a partial
index only where it finds its condition. What asks is in agent/store/views.py and agent/store/counts.py, and a test runs all of it and
asks SQLite how: nothing may read a whole table.
"""

# An image that a person was shown, not one of a pool or an evaluation. A damaged row is none: it must not stop a database being opened.
SHOWN = "iif(json_valid(sampler), coalesce(json_extract(sampler, '$.purpose'), 'paint'), '') = 'paint'"
DONE, FAILED, HEARD = "error is null", "error is not null", "node = 'listen'"  # of steps

GROWTH = (
    f"create index steps_done on steps (run_id, tool, step) where {DONE}",
    f"create index steps_failed on steps (run_id, tool, step) where {FAILED}",
    f"create index steps_heard on steps (run_id, step) where {HEARD}",
    f"create index images_shown on images (run_id, round, step, idx, id) where {SHOWN}",
    "create index scores_by_step on scores (run_id, step)",
    "create index ratings_by_step on ratings (run_id, step)",
    "create index answers_by_step on answers (run_id, step)",
    "create index jobs_by_run on jobs (run_id)",
)
