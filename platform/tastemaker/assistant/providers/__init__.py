"""Router back ends: our own engine, any OpenAI-compatible endpoint, a script; and their policy."""
