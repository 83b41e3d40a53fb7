"""Our own router behind vLLM: vectors travel in the messages as they are."""

from tastemaker.assistant.http_client import HttpClient, fault_of
from tastemaker.assistant.providers import wire
from tastemaker.assistant.providers.backend import check_reply, read_reply
from tastemaker.assistant.providers.request import RouterReply, RouterRequest


class OwnRouter:
    """The router LLM that was trained here, greedy.

    Args:
        url: Base address, without a path.
        http: Sends the requests.
        model: The name that it is served under.
        name: Of the member.
    """

    reads_vectors = True

    def __init__(
        self, url: str, http: HttpClient, *, model: str = "router", name: str = "router"
    ) -> None:
        self.url, self.http, self.model, self.name = url.rstrip("/"), http, model, name

    async def complete(self, request: RouterRequest, *, timeout_s: float) -> RouterReply:
        """One step.

        Raises:
            BackendFault: No answer in time, an error, or a reply of another form.
        """
        body = {
            "model": self.model,
            "messages": list(request.messages),
            "tools": list(request.tools),
            "tool_choice": "auto",
            "temperature": 0,
            "max_tokens": request.max_tokens,
        }
        url = f"{self.url}/v1/chat/completions"
        found = await wire.post(
            self.http, self.name, url, body, timeout_s=timeout_s, model="router"
        )
        reply = read_reply(self.name, found)
        check_reply(self.name, reply, request)
        return reply

    async def ready(self) -> str:
        """An empty string when the server is ready, else why not."""
        return await fault_of(self.http, f"{self.url}/health")
