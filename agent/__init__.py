"""Decide, remember, talk: runs with a language model, a record and a person. config.py and stopping.py serve all
rooms.

Must not know: how anything is painted, judged or trained; torch at import, so that `palate --help` and `logs` start
at once.
Others may use: config (CONFIGS, Config, MODELS, load_config, make_config, read_keys, run_folder).
"""
