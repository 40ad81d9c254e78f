"""The few places where the pack touches ComfyUI and InsightFace; the nodes build on them."""
