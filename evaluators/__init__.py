"""Judge images. The files here judge adapters and judges: a gate's rules, the ledger, overfit, a subject kept.

Must not know: trainers, tools, the agent; who asks, and what is done with the answer.
Others may use: gate (Evidence, Judged, Rules, measured, verdict), ledger (Alarm, FEWEST_ROUNDS, alarm,
disagreements), overfit (Selected, overfit_share, select, should_stop, uncertainty), subject (kept).
"""
