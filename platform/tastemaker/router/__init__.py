"""The router LLM: dialogues, tokenizer, projectors and fine-tuning."""
