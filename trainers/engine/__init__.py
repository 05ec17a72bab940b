"""What every method stands on: the loop, the step, its memory counted beforehand, checkpoints, journal, samples, and
a LoRA or whole weights as what learns.

Must not know: any loss.
Others may use: checkpoint (FREE, fingerprint, same), draws (answered, draw, fresh, own_noise), estimate (Estimate,
Plan, SPARE, estimate, lighter), fit (finished, fit), journal (written), lora (Lora, LoraConfig, NEW), own_weights
(OwnWeights), pair_store (PairStore, has_shard, write_shard), share (share), training (How, Losses, OnStep, Training,
TrainingConfig, TrainingStopped), whole (WholeDenoiser).
"""
