"""One person's taste as a function of image features (PIAA), learned from ratings and comparisons, alone or from
other people's.

Must not know: prompts and pixels: the picture's features are judged, whoever made them.
Others may use: held_out (held_out_agreement), model (KINDS, Kind, Preference, fit), people (People, load_people,
reliability), population (Population, standardised), scored (FEWEST, Scored).
"""
