"""One training in a process of its own: what is asked, whether it fits, what it learns from, how it is watched.

Must not know: the run that wants it, or the rows that come of it.
Others may use: cores (ASLEEP, cores, free_cores, sharing, wait_asleep), pools (choose), preflight (check, told), spec
(Job, gate_of, validated), watch (State, alone, run_job).
"""
