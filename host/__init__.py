"""What touches ComfyUI's models and samplers, or InsightFace; the nodes build on it."""
