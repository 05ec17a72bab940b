"""What every house stands on: files read and written whole, YAML, consoles, text made harmless, libraries kept quiet.
It is here because this is the lowest house.

Must not know: what is said, painted, judged or trained.
Others may use: atomic (FULL, abandoned, remove, write_atomically), clean (clean, escaped, harmless, legible), console
(USUAL_HOME, at_home, bars, counted, make_console, say, typed), quiet (quiet), reading (limit, lines_in, nameable,
ordinary, read_text), yaml_files (OF_A_PERSON, OF_OURS, Read, read_yaml, write_yaml).
"""
