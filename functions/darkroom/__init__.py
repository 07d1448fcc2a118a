"""Darkroom: durable, webhook-backed image generation on Replicate."""
