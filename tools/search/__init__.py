"""How the next round's prompts are found: strategies behind one interface, headless or inside the agent, held to the
brief.

Must not know: who rates, how pictures are painted, or the store.
Others may use: brief (check_brief, check_wishes, nearest, read_brief), genetic (Rated), history (History, score_of),
kept (Kept), llm (feedback_on), prior (FILE, save_prior), record (asked, genome_of, means_of, read_history), run
(Seen, search), screened (GeneBelief, Screened, evolved, screened), space (Space), strategies (STRATEGIES,
make_strategy), strategy (Means, Proposal, Strategy, proposal), writing (Prompts).
"""
