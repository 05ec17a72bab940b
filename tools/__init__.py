"""What the agent may do, and what that stands on: the files here are a run's settings, its context, its files and
pictures.

Must not know: the agent: a tool is given a context and gives back rows; it never writes the record.
Others may use: asking (Asking), context (Context, Outcome, Settings, Studio, nothing), files (SavedImage, opened,
read_parameters, save_image, save_json, save_png, sweep), likings (judged, likings), lock (locked), painting (AT_ONCE,
paint_in_batches), photos (photo, told_together), records (AdapterRow, AnswerRow, ComparisonRow, ImageRow, JobRow,
Kept, LARGEST_INTEGER, LlmCall, NO_PICTURE, PairRow, PreferenceRow, RatingRow, Record, RunRow, RunState, ScoreRow,
StepRecord, StepRow, now, plain, to_json), scorers (KEYS, PUBLISHED), searching (SearchSpec), shown (ShownPicture),
sliders (Slider, distinct_names), taste (ENOUGH, POPULATION_FILE).
"""
