"""What we say to models: vocabularies, messages, lists, a session's routine. And errors.py, which every house raises.

Must not know: anything above it; no logic but loading and putting into words.
Others may use: errors (InputError, LlmError, PalateError, ReplayError, StoreError, ToolError), evidence (effects,
feedback_sentence, guesses), facts (Facts), genes (Range, Seed, Several), lists (Anchor, SLOT, load_anchors,
load_list, prompts_in, records_in), messages (Message, feedback_messages, plan_messages, rated_lines, wish_messages),
optimiser (Line, Message, child_messages, critic_messages, proposal_messages, told), routine (closing, next_call,
shared_out), vocabulary (FOLDER, GUIDANCE, Genome, Vocabulary, load_vocabulary, with_articles).
"""
