"""KServe model servers, the vLLM plug-in and the local reconciler."""
