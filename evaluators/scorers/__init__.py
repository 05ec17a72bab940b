"""Judges with weights of their own: PickScore, CLIP, HPSv2, ImageReward, aesthetic heads, a scene judge; how weights
are found and read.

Must not know: one person's taste.
Others may use: aesthetic, clip (Clip), hpsv2 (HPSv2), image_reward (ImageReward), pickscore (PickScore), scene_judge
(SceneJudge, Seen), weight_files, weights (is_hub_id, version_of, version_of_file, weight_file).
"""
