"""Change models: one file a method, each a loss and what it learns from. merge.py makes one adapter of several.

Must not know: scores, ratings, runs or the agent; a scorer comes in as a function.
Others may use: custom_diffusion, dpo (Pair, check_pairs), dreambooth (DreamBoothConfig), kto (Judged), merge (merge),
reward, sft (Example), slider (Pair), textual_inversion.
"""
