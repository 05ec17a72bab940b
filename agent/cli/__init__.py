"""What a person types: a file for each group of commands, which parses, calls one function and tells what came of it.

Must not know: how what it calls is done.
Others may use: job_file (whole_job).
"""
