"""The indexes that keep a question's time the same however many runs, steps and ratings there are beside what it asks about.

Knows SQL alone. `SHOWN` and the conditions of the partial indexes are written out in queries letter by letter: SQLite takes a partial
index only where it finds its condition. What asks is in agent/store/views.py and agent/store/counts.py, and a test runs all of it and
asks SQLite how: nothing may read a whole table.
"""

# An image that a person was shown, not one of a pool or an evaluation. A damaged row is none: it must not stop a database being opened.
SHOWN = "iif(json_valid(sampler), coalesce(json_extract(sampler, '$.purpose'), 'paint'), '') = 'paint'"
DONE, FAILED, HEARD = "error is null", "error is not null", "node = 'listen'"  # of steps

GROWTH = (
    "create index runs_by_created on runs (created)",
    f"create index steps_done on steps (run_id, tool, step) where {DONE}",
    f"create index steps_failed on steps (run_id, tool, step) where {FAILED}",
    f"create index steps_heard on steps (run_id, step) where {HEARD}",
    f"create index images_shown on images (run_id, round, step, idx, id) where {SHOWN}",
    "create index scores_by_step on scores (run_id, step)",
    "create index ratings_by_step on ratings (run_id, step)",
    "create index answers_by_step on answers (run_id, step)",
    "create index jobs_by_run on jobs (run_id)",
)

# What stands in a view, and what takes its place: a condition on the run does not reach into a view's `group by` or a part of a `union`.
ONE_RATED = (
    "select run_id, image, 'rating', avg(value), 1 from current_ratings group by run_id, image",
    """select run_id, id, 'rating',
    (select avg(value) from current_ratings r where r.run_id = images.run_id and r.image = images.id), 1 from images
  where exists (select 1 from current_ratings r where r.run_id = images.run_id and r.image = images.id)""",
)
ONE_COMPARED = (
    "(select count(*) from current_comparisons where run_id = runs.id)",
    """(select count(*) from comparisons where run_id = runs.id) + (
   select coalesce(sum(iif(answer in (select value from json_each(shown)), json_array_length(shown) - 1,
     kind = 'ab' and answer in ('tie', 'both bad'))), 0)
   from answers where run_id = runs.id and superseded is null)""",
)
