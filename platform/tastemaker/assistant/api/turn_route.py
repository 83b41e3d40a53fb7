"""The route of a turn: a plain request is taken apart without the framework's general solver."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from tastemaker.assistant.api.auth import caller

_JSON = "application/json"


class TurnRoute(APIRoute):
    """A route whose endpoint takes `body`, `request`, `caller` and `idempotency_key`.

    The framework works out the values of an endpoint anew at each request, whatever they are.
    Here a JSON body that is valid, without an Idempotency-Key, goes to its model and the endpoint
    at once; any other request goes the framework's way, which has the words for what is wrong.
    Both validate by the same model and know the caller by the same function.

    Routes with other parameters are the framework's alone.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of a request."""
        general, endpoint = super().get_route_handler(), self.endpoint
        kinds = inspect.signature(endpoint, eval_str=True).parameters
        if set(kinds) != {"body", "request", "caller", "idempotency_key"}:
            return general
        model: type[BaseModel] = kinds["body"].annotation

        async def handle(request: Request) -> Response:
            headers = request.headers
            plain = headers.get("content-type") == _JSON and "idempotency-key" not in headers
            if not plain or request.app.dependency_overrides:
                return await general(request)
            try:
                body = model.model_validate_json(await request.body())
            except ValidationError:
                return await general(request)  # the body stays with the request
            who = await caller(request)
            answer: Response = await endpoint(body=body, request=request, caller=who)
            return answer

        return handle
