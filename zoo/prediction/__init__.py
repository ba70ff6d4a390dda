"""What a net says about single images, and the code that asks it without the zoo."""
