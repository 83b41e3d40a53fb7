"""The vLLM plug-in: registers the router's architecture in every vLLM process.

vLLM finds `register` through the entry point group `vllm.general_plugins`. The class is named by
a string, so that nothing heavy is imported before an engine asks for it.
"""

ARCHITECTURE = "ItemQwen3ForCausalLM"


def register() -> None:
    """Make the architecture known to vLLM; called in each of its processes.

    Each of them also ends with the reconciler, if one started it: vLLM's engine is a process of
    its own that would outlive a killed front.
    """
    from vllm import ModelRegistry

    from tastemaker.core.lifetime import end_with_owner

    end_with_owner()
    if ARCHITECTURE not in ModelRegistry.get_supported_archs():
        ModelRegistry.register_model(
            ARCHITECTURE, "tastemaker.serving.vllm_model:ItemQwen3ForCausalLM"
        )
