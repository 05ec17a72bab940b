"""What we say to models: vocabularies, messages, lists, a session's routine. And errors.py, which every house raises.

Must not know: anything above it; no logic but loading and putting into words.
Others may use: atomic (abandoned, nameable, ordinary, read_text, write_atomically), clean (clean, harmless), console
(bars, counted, make_console), errors (InputError, LlmError, PalateError, ReplayError, StoreError, ToolError),
evidence (effects, feedback_sentence, guesses), facts (Facts), genes (Range, Seed, Several), lists (Anchor, SLOT,
load_anchors, load_list, prompts_in), messages (Message, feedback_messages, plan_messages, wish_messages), optimiser
(Line, Message, child_messages, critic_messages, proposal_messages, told), quiet (quiet), routine (closing, next_call,
shared_out), vocabulary (GUIDANCE, Genome, Vocabulary, load_vocabulary, with_articles), yaml_files (OF_A_PERSON,
OF_OURS, Read, read_yaml, write_yaml).
"""
