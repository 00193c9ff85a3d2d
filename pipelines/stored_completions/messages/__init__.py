"""Input messages: asked for completion by completion, kept as rows, and hashed so that prompts and threads show."""
