"""The mathematics of Reverse Personalization in plain torch and numpy: no ComfyUI is imported here."""
