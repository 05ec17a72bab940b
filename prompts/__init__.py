"""What we say to models: vocabularies, messages, lists, a session's routine. And what every house stands on: errors,
whole files, consoles, clean text, quiet.

Must not know: anything above it; no logic but loading and putting into words.
Others may use: atomic (FULL, abandoned, remove, write_atomically), clean (clean, escaped, harmless, legible), console
(USUAL_HOME, at_home, bars, counted, make_console, say, typed), errors (InputError, LlmError, PalateError,
ReplayError, StoreError, ToolError), evidence (effects, feedback_sentence, guesses), facts (Facts), genes (Range,
Seed, Several), lists (Anchor, SLOT, load_anchors, load_list, prompts_in, records_in), messages (Message,
feedback_messages, plan_messages, rated_lines, wish_messages), optimiser (Line, Message, child_messages,
critic_messages, proposal_messages, told), quiet (quiet), reading (limit, nameable, ordinary, read_text), routine
(closing, next_call, shared_out), vocabulary (FOLDER, GUIDANCE, Genome, Vocabulary, load_vocabulary, with_articles),
yaml_files (OF_A_PERSON, OF_OURS, Read, read_yaml, write_yaml).
"""
