"""Adapters as files: diffusers', kohya's and other programs' layouts, learned words, and the card beside them.

Must not know: a loaded model's state: a bare pipeline is all that is asked for names and shapes.
Others may use: adapter_about (about), adapter_file (Adapter, AdapterRef, MODEL_FOLDER, WORD_FILE, find, sha256),
export (Beside, Written, last, save_adapter, save_layers, write_card), halves (finite), injected (inject), kohya
(kohya_names, text_names), lora_layers (change_of, lora_layers, part_of, remove), third_party (translated), word_file
(FIRST, SECOND, Word).
"""
