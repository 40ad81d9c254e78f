"""Public API clients of ComfyUI against a real server: what each gets of a result and of a refusal."""
