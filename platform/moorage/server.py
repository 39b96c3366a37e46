"""The composition root of an API server: store, sealing, identities, roles, tunnels and Git behind one TLS port.

Everything that the layers below ask for is wired here, and only here; what is missing or unusable refuses the start with one
sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import hmac
import logging
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence

import uvicorn
import uvloop
from cryptography.exceptions import InvalidTag
from fastapi import FastAPI

from moorage import server_database
from moorage.api.allocation.services import ServiceAllocation
from moorage.api.app import MoorageApp, build_app
from moorage.api.config import ApiConfig, Mount
from moorage.api.contracts import Admission, Identity, TransactionRequest, TransactionResult
from moorage.api.serving import ApiServer, accept_client_certificates, server_config
from moorage.api.tunnel import Peers, Tunnels
from moorage.resources.builtin import builtin_registry
from moorage.resources.scheduling import SYSTEM_CLASSES
from moorage.resources.storage import LOCAL_CLASS
from moorage.server_config import ConfigError, ServerConfig
from moorage.store.store import PostgresStore, open_store
from moorage.supervisor import notice
from moorage_gitops.host.app import build_git_app
from moorage_gitops.host.config import GitHostConfig
from moorage_tenants.audit import AuditEndpoints, TableAuditor
from moorage_tenants.audit import mounts as audit_mounts
from moorage_tenants.authentication.requesting import CertificateRequests
from moorage_tenants.authentication.setup import PREFIXES, Settings, Sources
from moorage_tenants.authorisation.authorizer import RbacAuthorizer
from moorage_tenants.authorisation.defaults import brought_up_to_date
from moorage_tenants.authorisation.flows import TenantFlows
from moorage_tenants.authorisation.parts import AccessParts, open_access
from moorage_tenants.limits.admissions import limiting
from moorage_tenants.limits.charging import ObjectCharger
from moorage_tenants.limits.requirements import QuotaRequirements
from moorage_tenants.limits.usage import UsageWriter
from moorage_tenants.podsecurity.admission import PodSecurity
from moorage_tenants.sealing import BadKek
from moorage_tenants.secret_service.guard import Guard
from moorage_tenants.secret_service.parts import SecretParts
from moorage_tenants.secret_service.parts import run as run_loops
from moorage_tenants.tenancy import NamespaceFurniture, TenancyAdmission, TenantUsage

__all__ = ["ConfigError", "ServerConfig", "composed", "serve"]

log = logging.getLogger(__name__)


def serve(config: ServerConfig) -> None:
    """Run until SIGTERM or SIGINT, then end cleanly. Raises ConfigError for a database that cannot be used."""
    uvloop.run(_serve(config))


async def _serve(config: ServerConfig) -> None:
    async with composed(config) as app:
        await _listen(config, app)
    log.info("ended")


@contextlib.asynccontextmanager
async def composed(config: ServerConfig) -> AsyncIterator[MoorageApp]:
    """The application with everything that works beside it, for as long as the context lasts. Raises ConfigError."""
    database = await asyncio.to_thread(server_database.prepare, config.database_url, config.database_password)
    name = f"{socket.gethostname()}:{config.listen.port}"
    secret_parts = SecretParts(config.kek)
    async with open_store(
        database,
        password=config.database_password or None,
        server_name=name,
        sealer=secret_parts.make_sealer,
    ) as store:
        await _check_keys(secret_parts)
        sources = _authentication(config, store, secret_parts)
        app, access = await _compose(config, store, name, secret_parts, sources)
        following = asyncio.create_task(access.run(), name="pod index")
        loops = secret_parts.loops(store, store.keys, store.resealing, app.transactor, name)
        keeping = asyncio.create_task(run_loops(loops, lambda: not app.startup.waiting_for), name="secrets")
        writer = UsageWriter(store, store.quotas, app.transactor, lambda: store.feed.revision)
        telling = asyncio.create_task(writer.run(lambda: not app.startup.waiting_for), name="usage of quotas")
        usage = TenantUsage(store.quotas, app.transactor)
        counting = asyncio.create_task(usage.run(lambda: not app.startup.waiting_for), name="tenant usage")
        try:
            async with sources:
                yield app
        finally:
            following.cancel()
            keeping.cancel()
            counting.cancel()
            telling.cancel()
            await asyncio.gather(following, keeping, counting, telling, return_exceptions=True)
            access.close()


async def _check_keys(secret_parts: SecretParts) -> None:
    """Raises ConfigError where the key-encryption key is not the one that this database was sealed with."""
    try:
        await secret_parts.check()
    except BadKek as error:
        raise ConfigError(str(error)) from None
    except InvalidTag as error:
        raise ConfigError(
            f"the key-encryption key does not open this database's keys: {str(error) or 'it is of another cluster'}; "
            "give the server the key that it had before"
        ) from None


def _authentication(config: ServerConfig, store: PostgresStore, secret_parts: SecretParts) -> Sources:
    """Who may come in, and how."""
    settings = Settings(
        bootstrap=config.bootstrap,
        secret=lambda: secret_parts.sealer.derived(b"service account keys"),
        ca_sha256=config.ca_sha256,
        ca_pem=config.ca_pem.decode("ascii"),
        address=config.advertise,
        config=config.authentication,
        config_file=config.authentication_file,
        issuer=config.service_account_issuer,
    )
    return Sources(settings, store)


async def _compose(
    config: ServerConfig,
    store: PostgresStore,
    name: str,
    secret_parts: SecretParts,
    sources: Sources,
) -> tuple[MoorageApp, AccessParts]:
    """Every contract with its implementation."""
    registry = builtin_registry()
    auditor = TableAuditor(store.audit_chain)
    allocation = ServiceAllocation(registry)
    access = await open_access(store, registry)
    authenticator, authorizer = sources.authenticator, access.authorizer
    transactor = _LateTransactor()
    flows = TenantFlows(authorizer.index.tenants)
    git = GitHostConfig(
        directory=config.git_dir,
        registry=registry,
        store=store,
        transactor=transactor,
        authenticator=sources.for_git,
        authorizer=authorizer,
        auditor=auditor,
        flow_owners=flows,
    )
    guard = Guard(authenticator, authorizer, auditor)
    app = build_app(
        ApiConfig(
            registry=registry,
            store=store,
            authenticator=authenticator,
            authorizer=authorizer,
            charger=ObjectCharger(),
            admissions=_admissions(config, secret_parts, sources, access, allocation),
            companions=(
                *sources.companions,
                allocation,
                NamespaceFurniture(registry, config.pod_cidrs),
                *secret_parts.companions,
                *access.companions,
            ),
            bootstrap=(*SYSTEM_CLASSES, LOCAL_CLASS, *access.bootstrap),
            bring_up_to_date=brought_up_to_date,
            reviewer=authorizer,
            flow_owners=flows,
            service_cidrs=config.service_cidrs,
            advertise=config.advertise,
            auditor=auditor,
            tunnels=Tunnels(store.tunnels, await _peers(config, store, name, secret_parts), authenticator, authorizer),
            handlers=sources.handlers,
            mounts=[
                Mount("/git", build_git_app(git)),
                *_own_mounts(sources, authorizer, auditor),
                *secret_parts.mounts(guard, store, store.secret_versions, transactor),
                *audit_mounts(AuditEndpoints(guard, store.audit, store)),
            ],
            metrics=[store.metrics, secret_parts.metrics],
            server=name,
            ca_pem=config.ca_pem,
        )
    )
    transactor.app = app
    return app, access


def _admissions(
    config: ServerConfig,
    secret_parts: SecretParts,
    sources: Sources,
    access: AccessParts,
    allocation: ServiceAllocation,
) -> Sequence[Admission]:
    """Every policy, in the order in which they see a write: who fills in comes before who bounds what was filled in."""
    return (
        TenancyAdmission(access.authorizer),
        allocation,
        *limiting(),
        *sources.admissions,
        CertificateRequests(access.authorizer),
        *secret_parts.admissions,
        PodSecurity(config.pod_security),
        QuotaRequirements(),
        *access.admissions,
    )


def _own_mounts(sources: Sources, authorizer: RbacAuthorizer, auditor: TableAuditor) -> Iterator[Mount]:
    """Logging in, tokens and joining: endpoints of our own beside the Kubernetes API."""
    own = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    own.include_router(sources.router(authorizer, auditor))
    return (Mount(prefix, own) for prefix in PREFIXES)


class _LateTransactor:
    """The Git host is part of the application whose transaction primitive it uses."""

    app: MoorageApp | None = None

    async def transact(self, identity: Identity, request: TransactionRequest) -> TransactionResult:
        """Implements ``moorage.api.contracts.Transactor``."""
        assert self.app is not None
        return await self.app.transactor.transact(identity, request)


async def _peers(config: ServerConfig, store: PostgresStore, name: str, secret_parts: SecretParts) -> Peers:
    """Servers of one cluster know each other by a key derived from the secret that only they can open."""
    key = hmac.new(await secret_parts.sealer.derived(b"peers"), store.cluster.encode(), hashlib.sha256).digest()
    tls = ssl.create_default_context(cadata=config.ca_pem.decode("ascii"))
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    return Peers(server=name, address=config.advertise, key=key, tls=tls)


async def _listen(config: ServerConfig, app: MoorageApp) -> None:
    """Serve until a signal; say "ready" once the application is."""
    settings = server_config(
        app,
        host=config.listen.host,
        port=config.listen.port,
        ssl_certfile=str(config.tls_cert),
        ssl_keyfile=str(config.tls_key),
    )
    settings.load()
    assert settings.ssl is not None
    settings.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.client_ca is not None:
        accept_client_certificates(settings.ssl, config.client_ca)
    server = _Server(settings, app)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    readiness = asyncio.create_task(_say_ready(config, server, app), name="readiness")
    try:
        await server.serve()
    finally:
        readiness.cancel()
        await asyncio.gather(readiness, return_exceptions=True)


class _Server(ApiServer):
    """Signals are ours: uvicorn would raise them again when it has stopped, before the store is closed."""

    def stop(self) -> None:
        """Ask for the end; a second time, for the end of what is still being answered."""
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the handlers as they are."""
        yield


async def _say_ready(config: ServerConfig, server: uvicorn.Server, app: MoorageApp) -> None:
    while not server.started or app.startup.waiting_for:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    # What is here now stays: the collector need not look at it again, and forked Git processes share its pages.
    gc.collect()
    gc.freeze()
    log.info("serving %s (process %d)", config.listen, os.getpid())
    notice.ready()
