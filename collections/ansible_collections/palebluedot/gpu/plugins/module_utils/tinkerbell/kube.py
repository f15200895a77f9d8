# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API on fixed paths.

Configuration and credentials are the official client's business (kubeconfig, contexts, exec plugins, in-cluster); its
model classes and its discovery are not used: Tinkerbell's paths are known, and discovery costs seconds.
Each request has a deadline, and is sent once: who calls decides what may be repeated.
"""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import proxy_bypass

from ansible_collections.palebluedot.gpu.plugins.module_utils.errors import (
    AuthenticationError,
    BadAnswer,
    Busy,
    Conflict,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PaleBlueDotError,
    Unreachable,
)
from ansible_collections.palebluedot.gpu.plugins.module_utils.packages import need

MISSING: ImportError | None = None
try:
    import urllib3
    from kubernetes import client as official
    from kubernetes import config as official_config
    from kubernetes.config import kube_config
except ImportError as problem:
    MISSING = problem

Json = dict[str, Any]

REQUEST_S = 30.0
# The official loader keeps what it wrote to disk in a global of its module.
_loading = threading.Lock()
_MERGE = "application/merge-patch+json"


class Expired(PaleBlueDotError):
    """410 Gone: the resourceVersion is too old for a watch; list or get anew."""

    code = "resource_version_expired"
    retryable = True


_KINDS: dict[int, type[PaleBlueDotError]] = {
    400: InvalidInput,
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFound,
    405: InvalidInput,
    409: Conflict,
    410: Expired,
    413: InvalidInput,
    415: InvalidInput,
    422: InvalidInput,
    429: Busy,
    500: Busy,
    503: Busy,
    504: Busy,
}


class Kube:
    """One connection to one API server. Not thread safe.

    :param kubeconfig: file; None takes the pod's service account inside a cluster, else ``~/.kube/config``.
    :param context: context of that file; None takes its current one.
    """

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        need("kubernetes", MISSING)
        self._configuration = official.Configuration()
        with _loading:
            try:
                _load(self._configuration, kubeconfig, context)
                self._pool = _pool(self._configuration)
            except (OSError, ValueError) as problem:
                raise InvalidInput(
                    f"the certificates of the kubeconfig cannot be used: {problem}",
                    code="kubeconfig_unusable",
                    next="Check certificate-authority, client-certificate and client-key of the kubeconfig.",
                ) from problem
            finally:
                _forget_temporary_files()
        self.host: str = str(self._configuration.host).rstrip("/")

    def close(self) -> None:
        """Close the connection."""
        self._pool.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- requests ----------------------------------------------------------------------------------------------------

    def get(self, path: str, *, query: Mapping[str, Any] | None = None, timeout: float = REQUEST_S) -> Json:
        """Read one object or one list."""
        return self._json("GET", path, query=query, timeout=timeout)

    def create(self, path: str, body: Json, *, timeout: float = REQUEST_S) -> Json:
        """Create an object in a collection."""
        return self._json("POST", path, body=body, timeout=timeout)

    def merge_patch(self, path: str, patch: Json, *, timeout: float = REQUEST_S) -> Json:
        """RFC 7386 merge patch. With ``metadata.resourceVersion`` in it, a change in between is a Conflict."""
        return self._json("PATCH", path, body=patch, content_type=_MERGE, timeout=timeout)

    def delete(self, path: str, *, uid: str | None = None, timeout: float = REQUEST_S) -> Json:
        """Delete an object; with ``uid`` only that very one, and not its namesake."""
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        return self._json("DELETE", path, body=options, timeout=timeout)

    def watch(self, path: str, *, query: Mapping[str, Any], seconds: float) -> Iterator[tuple[str, Json]]:
        """``(type, object)`` of a watch that the server ends after ``seconds``; a shorter answer is no error.

        :raises Expired: the resourceVersion is too old.
        """
        whole = max(1, int(seconds))
        asked = {**query, "watch": "true", "timeoutSeconds": whole}
        deadline = time.monotonic() + seconds
        response = self._send("GET", path, query=asked, connect_s=REQUEST_S, read_s=whole + 5.0)
        tried = f"WATCH {path}"
        try:
            if response.status != 200:
                raise self._problem(response.status, response.read(), tried)
            buffer = b""
            for piece in response.stream(amt=None, decode_content=True):
                buffer += piece
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    if line.strip():
                        yield self._event(line, tried)
                if time.monotonic() > deadline:
                    return
        except urllib3.exceptions.HTTPError as problem:
            raise self._unreachable(problem, tried, seconds) from problem
        finally:
            response.close()

    def _event(self, line: bytes, tried: str) -> tuple[str, Json]:
        try:
            event = json.loads(line)
            kind, item = str(event["type"]), event["object"]
        except (ValueError, KeyError, TypeError) as problem:
            raise BadAnswer(
                "a watch event makes no sense", host=self.host, tried=tried, answer=repr(line[:200])
            ) from problem
        if kind == "ERROR":
            raise self._problem(int(item.get("code") or 500), json.dumps(item).encode(), tried)
        return kind, item

    def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
        timeout: float,
    ) -> Json:
        tried = f"{method} {path}"
        response = self._send(
            method, path, query=query, body=body, content_type=content_type, connect_s=timeout, read_s=timeout
        )
        try:
            content = response.read()
        except urllib3.exceptions.HTTPError as problem:
            raise self._unreachable(problem, tried, timeout) from problem
        finally:
            response.release_conn()
        if not 200 <= response.status < 300:
            raise self._problem(response.status, content, tried)
        try:
            answer = json.loads(content)
        except ValueError as problem:
            raise BadAnswer(
                "the answer is not JSON", host=self.host, tried=tried, answer=repr(content[:200])
            ) from problem
        if not isinstance(answer, dict):
            raise BadAnswer("the answer is not an object", host=self.host, tried=tried, answer=repr(content[:200]))
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
        connect_s: float,
        read_s: float,
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": "palebluedot-gpu"}
        token = self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if token:
            headers["Authorization"] = token
        payload = None
        if body is not None:
            headers["Content-Type"] = content_type
            payload = json.dumps(body).encode()
        url = self.host + path + (f"?{urlencode(query)}" if query else "")
        try:
            return self._pool.request(
                method,
                url,
                body=payload,
                headers=headers,
                timeout=urllib3.Timeout(connect=connect_s, read=read_s),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as problem:
            raise self._unreachable(problem, f"{method} {path}", read_s) from problem

    # -- errors ------------------------------------------------------------------------------------------------------

    def _unreachable(self, problem: Exception, tried: str, seconds: float) -> PaleBlueDotError:
        text = str(problem)
        if isinstance(problem, urllib3.exceptions.TimeoutError):
            return DeadlineExceeded(
                f"the Kubernetes API did not answer within {seconds:.0f} s",
                host=self.host,
                tried=tried,
                next="Check that the API server is up and not overloaded.",
            )
        if isinstance(problem, urllib3.exceptions.SSLError) or "CERTIFICATE_VERIFY_FAILED" in text:
            return Unreachable(
                "the Kubernetes API's certificate is not trusted",
                code="certificate_untrusted",
                host=self.host,
                tried=tried,
                answer=text,
                next="Check certificate-authority of the cluster in the kubeconfig.",
                retryable=False,
            )
        return Unreachable(
            "the Kubernetes API cannot be reached",
            host=self.host,
            tried=tried,
            answer=text,
            next="Check the cluster's address in the kubeconfig, and that the API server is up.",
        )

    def _problem(self, status: int, content: bytes, tried: str) -> PaleBlueDotError:
        """The typed error for a Status object (or whatever else came with an error status)."""
        document: Json = {}
        with contextlib.suppress(ValueError):
            decoded = json.loads(content)
            if isinstance(decoded, dict):
                document = decoded
        kind = _KINDS.get(status, InvalidInput if 400 <= status < 500 else BadAnswer)
        message = document.get("message") or f"the Kubernetes API answered {status}"
        return kind(
            str(message),
            code="forbidden" if status == 403 else None,
            host=self.host,
            tried=tried,
            answer=f"{status} {document.get('reason') or content[:200].decode(errors='replace')}".strip(),
            next=_ADVICE.get(status),
            details={"status": status, "reason": document.get("reason"), "object": document.get("details")},
        )


_ADVICE = {
    401: "Check the user of the kubeconfig: its token or certificate is not accepted.",
    403: "Give the account of the kubeconfig the rights on tinkerbell.org objects in this namespace.",
}


def segment(name: str) -> str:
    """One path segment."""
    return quote(name, safe="")


def _load(configuration: Any, kubeconfig: str | None, context: str | None) -> None:
    if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        try:
            official_config.load_incluster_config(client_configuration=configuration)
        except official_config.ConfigException as problem:
            raise InvalidInput(
                f"the pod's service account cannot be used: {problem}",
                code="kubeconfig_unusable",
                next="Mount a service account token, or set kubeconfig.",
            ) from problem
        return
    path = Path(kubeconfig or "~/.kube/config").expanduser()
    if not path.is_file():
        raise InvalidInput(
            f"there is no kubeconfig {path}",
            code="kubeconfig_missing",
            next="Set kubeconfig, PALEBLUEDOT_KUBECONFIG or KUBECONFIG.",
        )
    try:
        official_config.load_kube_config(
            config_file=str(path), context=context, client_configuration=configuration, persist_config=False
        )
    except Exception as problem:  # its loader raises whatever the file's mistakes lead to, TypeError included
        raise InvalidInput(
            f"the kubeconfig {path} cannot be used: {problem}",
            code="kubeconfig_unusable",
            next="Check it with kubectl, and that the context exists.",
        ) from problem


def _pool(configuration: Any) -> urllib3.PoolManager:
    """The connections that a configuration asks for, with every certificate and key in memory."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif configuration.ssl_ca_cert or getattr(configuration, "ca_cert_data", None):
        context.load_verify_locations(
            cafile=configuration.ssl_ca_cert, cadata=getattr(configuration, "ca_cert_data", None)
        )
    else:
        context.load_default_certs()
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    options: dict[str, Any] = {"ssl_context": context, "maxsize": 2}
    if getattr(configuration, "tls_server_name", None):
        options["server_hostname"] = configuration.tls_server_name
    host = urlsplit(str(configuration.host)).hostname or ""
    if configuration.proxy and not proxy_bypass(host):
        return urllib3.ProxyManager(configuration.proxy, proxy_headers=configuration.proxy_headers, **options)
    return urllib3.PoolManager(**options)


def _forget_temporary_files() -> None:
    """Remove the certificate and key files that the official loader wrote for data inside the kubeconfig.

    It does so itself when a process exits; a forked worker ends without its exit handlers.
    """
    cleanup = getattr(kube_config, "_cleanup_temp_files", None)
    if cleanup is not None:
        cleanup()
