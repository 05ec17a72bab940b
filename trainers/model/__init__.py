"""A loaded pipeline: load it, attach adapters and words, paint, say what a denoiser is told, the forward process.

Must not know: training, optimizers, losses.
Others may use: attach (Adapters, activate, attached, unload), base_model (BaseModel), denoiser (Conditions, FAMILIES,
Prompts, Spoken, decode_latents, encode_images, encode_prompts, images_at_once, latent_shape, predictor, trainable),
ip_adapter (Shown), load (device_of, load), memory (enough_memory, idle, parked), paint (paint, paint_as_it_is,
tell_cuts), process (Predict, Process), words.
"""
