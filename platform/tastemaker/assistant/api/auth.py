"""Who sent a request: a dependency of every route that reads or changes anything of a user's."""

import re
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from tastemaker.assistant.errors import Forbidden, Unauthorized
from tastemaker.assistant.identity import Caller, is_loopback

_BEARER = HTTPBearer(auto_error=False, description="An API key, or a token of the issuer.")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::\d+)?")
Documented = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


async def caller(request: Request, _: Documented = None) -> Caller:
    """The caller of a request, once the request is counted against the caller's rate.

    What costs money asks `limits.check_spend` besides.

    Raises:
        Unauthorized: No credentials, or credentials that do not hold.
        Forbidden: A web page of another site reached an assistant that asks no credentials.
        TooMany: The minute's requests are used up.
    """
    services = request.app.state.services
    if services.identity.config.auth == "open":
        _check_host(request)
    given = request.headers.getlist("authorization")
    if len(given) > 1:
        raise Unauthorized("more than one Authorization header")
    found: Caller = await services.identity.authenticate(given[0] if given else None)
    services.limits.check_rate(found)
    return found


Asking = Annotated[Caller, Depends(caller)]


def _check_host(request: Request) -> None:
    """Refuse DNS rebinding: a site's own name that was made to point at this machine.

    A name without a dot is nobody's domain. The header itself is read, because the framework puts
    the server's own name where it does not understand the header.
    """
    host = request.headers.get("host", "")
    form = _HOST.fullmatch(host)
    if form is None or ("." in form[1].rstrip(".") and not is_loopback(form[1])):
        raise Forbidden(
            f"host {host!r}: without credentials the assistant answers on this machine's own "
            "address only, such as 127.0.0.1"
        )
