"""What a run looks like: words, sheets, plots, Markdown pages, and a terminal's panels.

Must not know: how a run is driven. It reads the record and draws.
Others may use: drawing (contact_sheet, font_file), logs (print_json, replay_view), plots (BLUE, ORANGE), progress
(Narrator), report (write_report), sheets (question_sheet, round_sheet), telling (how_sure, resume_command, short).
"""
