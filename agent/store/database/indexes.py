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

# The ledger again (agent/store/database/migrations.py), without `row_number` and `group by`: a condition on the run reaches into no `union` that has them,
# and every run's scores and ratings were read for one's.
INDEXED_LEDGER = """create view ledger as
with judged as (
  select s.run_id, s.image, s.name as judge, s.value from scores s
  where s.version <> 'evaluation' and s.rowid = (select newest.rowid from scores newest
    where newest.run_id = s.run_id and newest.image = s.image and newest.name = s.name and newest.version <> 'evaluation'
    order by newest.step desc, newest.rowid desc limit 1)
  union all
  select run_id, id, 'rating',
    (select avg(value) from current_ratings r where r.run_id = images.run_id and r.image = images.id) from images
  where exists (select 1 from current_ratings r where r.run_id = images.run_id and r.image = images.id))
select judged.run_id, images.round, judged.image, judged.judge, judged.value,
  percent_rank() over (partition by judged.run_id, judged.judge order by judged.value) as standing, images.prompt
from judged join images on images.run_id = judged.run_id and images.id = judged.image
where coalesce(json_extract(images.sampler, '$.purpose'), 'paint') = 'paint'
order by judged.run_id, images.round, images.idx, judged.judge"""
# In the runs' summary: what takes the place of a count in a view of answers.
ONE_COMPARED = (
    "(select count(*) from current_comparisons where run_id = runs.id)",
    """(select count(*) from comparisons where run_id = runs.id) + (
   select coalesce(sum(iif(answer in (select value from json_each(shown)), json_array_length(shown) - 1,
     kind = 'ab' and answer in ('tie', 'both bad'))), 0)
   from answers where run_id = runs.id and superseded is null)""",
)
