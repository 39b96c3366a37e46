"""Signs CertificateSigningRequests that were approved, where this process holds the client CA; removes old ones always."""

from __future__ import annotations

import base64
import contextlib
import logging
from collections.abc import Callable

from cryptography import x509

from moorage.client.errors import Conflict, NotFound
from moorage.client.objects import Document, ObjectKey, is_deleting, key_of, timestamp, uid_of
from moorage.client.reconcile import DONE, After, Outcome, Runner
from moorage.client.resource import CERTIFICATE_SIGNING_REQUESTS as REQUESTS
from moorage.controllers.certificates import plan, signers
from moorage.controllers.certificates.authority import Authority
from moorage.controllers.context import Context

log = logging.getLogger(__name__)

LONGEST_WAIT = 3600.0


class CertificatesController:
    """Looks after CertificateSigningRequests."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._clock: Callable[[], float] = context.clock
        self._authority: Authority | None = context.options.authority
        self._requests = context.informers.get(REQUESTS)
        self._runner: Runner[str] = Runner("certificates", self.reconcile, workers=2)
        self._requests.add_handler(self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._requests.wait_synced()
        await self._runner.run()

    async def reconcile(self, name: str) -> Outcome:
        """Look at one request."""
        request = self._requests.get("", name)
        if request is None or is_deleting(request):
            return DONE
        left = plan.goes_at(request) - self._clock()
        if left <= 0:
            with contextlib.suppress(NotFound, Conflict):
                await self._client.delete(REQUESTS, name, uid=uid_of(request))
            return DONE
        if plan.wants_signature(request) and request["spec"]["signerName"] in signers.SIGNERS:
            await self._sign(request)
        return After(min(left, LONGEST_WAIT))

    async def _sign(self, request: Document) -> None:
        """Sign it, or say in its status why not. A request that changed meanwhile comes here again as a change."""
        if self._authority is None:
            return
        spec, status = request["spec"], request.get("status") or {}
        asked = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
        refusal = signers.refusal(spec["signerName"], asked, spec["usages"])
        now = self._clock()
        if refusal:
            failed = {"type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": refusal}
            failed |= {"lastUpdateTime": timestamp(now), "lastTransitionTime": timestamp(now)}
            status = {**status, "conditions": [*status.get("conditions", ()), failed]}
        else:
            signed = self._authority.sign(asked, spec["usages"], spec.get("expirationSeconds"), now)
            status = {**status, "certificate": base64.b64encode(signed).decode("ascii")}
        try:
            await self._client.update(REQUESTS, {**request, "status": status}, subresource="status")
        except (NotFound, Conflict):
            return
        log.info("request %s of %s: %s", request["metadata"]["name"], spec.get("username"), refusal or "signed")

    def _changed(self, _old: Document | None, new: Document | None) -> None:
        if new is not None:
            key: ObjectKey = key_of(new)
            self._runner.queue.add(key.name)
