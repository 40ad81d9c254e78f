"""What is only measured and made here: nothing in it is needed to use the nodes."""
