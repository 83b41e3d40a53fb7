"""The vLLM plug-in: registers the router's architecture in every vLLM process.

vLLM finds `register` through the entry point group `vllm.general_plugins`. The class is named by
a string, so that nothing heavy is imported before an engine asks for it.
"""

ARCHITECTURE = "ItemQwen3ForCausalLM"


def register() -> None:
    """Make the architecture known to vLLM; called once in each of its processes."""
    from vllm import ModelRegistry

    if ARCHITECTURE not in ModelRegistry.get_supported_archs():
        ModelRegistry.register_model(
            ARCHITECTURE, "tastemaker.serving.vllm_model:ItemQwen3ForCausalLM"
        )
