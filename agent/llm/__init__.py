"""A language model: a client, answers read and mended, a schema for its grammar, and a vLLM server of our own.

Must not know: runs, tools by name, or what is asked of it.
Others may use: answers (InvalidPlan, Problem, ToolCall, read_call, read_object), brain (OwnLlm, make_client,
open_llm, serve_until_stopped, server_device), client (Llm), completion (MOST_TOKENS, kept, tokens), keys (key_for,
origin, settle), leash (PR_SET_PDEATHSIG), schema (Tool), scripted (ScriptedLlm), vllm_server (VllmServer), wire
(NoReply, exchange).
"""
