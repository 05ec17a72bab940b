"""One run, from its first step to its last: what is known, planned, done, recorded and asked, and how words are
understood.

Must not know: who speaks to the person: a terminal, a page and a simulated rater all answer the same question.
Others may use: crew (Crew, make_settings), graph (Loop), listening (KEYS, Wish, look_up, looks_like_ratings,
read_keys, read_more_like, read_ratings, understand), people (Answer, Person, RecordedPerson, choices_of,
simulated_person, to_rate), planners (PROPOSE, native_writer), profiles (SUFFIX, checked_name, find, take_in), recall
(read_facts), runner (carry_out, hired, numbers), session (answered_for, drive, new_run, open_store, stored_config,
unfinished, versions).
"""
