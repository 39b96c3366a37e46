"""HTTP to pods and services through the API server: ``/proxy`` of both, as Kubernetes' proxy cases ask for it."""

from __future__ import annotations

import re

import pytest

from tests.conformance.workloads import container, pod
from tests.support.kubectl import Kubectl
from tests.support.rest import Answer, Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

METHODS = ("GET", "HEAD", "DELETE", "OPTIONS", "PATCH", "POST", "PUT")
SCRIPT = r"""
cat > /answer <<'END'
#!/bin/sh
read method path version
length=0; said=
while IFS= read -r line; do
  line=${line%?}
  [ -z "$line" ] && break
  said="$said$line;"
  case $line in [Cc]ontent-[Ll]ength:*) length=${line#*: };; esac
done
body=$(head -c "$length")
case $path in
  /page) printf 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<a href="/rewriteme">test</a>';;
  /moved) printf 'HTTP/1.1 302 Found\r\nLocation: /there?x=1\r\nContent-Length: 0\r\n\r\n';;
  /none) printf 'HTTP/1.1 404 Not Found\r\nSet-Cookie: a=b\r\nContent-Length: 4\r\n\r\nnone';;
  *) printf 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Method: %s\r\n\r\n' "$method"
     [ "$method" = HEAD ] || printf '%s %s|%s|%s' "$method" "$path" "$body" "$said";;
esac
END
chmod +x /answer
nc -ll -p 8081 -e /bin/true &
exec nc -ll -p 8080 -e /answer
"""


@pytest.fixture(scope="module", autouse=True)
def places(api: Rest, shared: Kubectl, space: str, image: str) -> tuple[str, str]:
    """The paths of a pod and of a service in front of it; one that says what it was asked, as HTTP servers do."""
    root = f"/api/v1/namespaces/{space}"
    ports = [{"name": "web", "containerPort": 8080}]
    api.create(f"{root}/pods", pod("agent", container(image, SCRIPT, ports=ports)))
    spec = {"selector": {"name": "agent"}, "ports": [{"name": "portname1", "port": 80, "targetPort": "web"}]}
    api.create(f"{root}/services", {"metadata": {"name": "front"}, "spec": spec})
    shared("wait", "--for=condition=Ready", "pod/agent", "--timeout=60s")
    return f"{root}/pods", f"{root}/services"


async def answered(api: Rest, method: str, path: str) -> Answer:
    """The answer of a pod that begins to listen, and of a service whose endpoint is found."""

    def ask() -> Answer:
        answer = api.request(method, path)
        if answer.code == 503:
            raise NotYet(answer.text)
        return answer

    return await until(ask, timeout=30)


async def test_every_method_with_and_without_a_path(api: Rest, places: tuple[str, str]) -> None:
    """ "A set of valid responses are returned for both pod and service Proxy" and "ProxyWithPath"."""
    pods, services = places
    for base in (f"{pods}/agent/proxy", f"{services}/front:portname1/proxy"):
        await answered(api, "GET", f"{base}/")
        for method in METHODS:
            for rest in ("/", "/some/path/with/" + method, "/a%20b//c/"):
                got = api.request(method, f"{base}{rest}?method={method}")
                assert got.code == 200, (base, method, got)
                assert got.headers["x-method"] == method
                wanted = f"{method} {rest}?method={method}|"
                assert got.text.startswith(wanted) or method == "HEAD", got.text
            if method not in ("GET", "HEAD"):
                assert api.request(method, base).text.startswith(f"{method} /|")


async def test_by_scheme_port_and_port_name(api: Rest, places: tuple[str, str]) -> None:
    """ "should proxy through a service and a pod"."""
    pods, services = places
    names = ["agent", "agent:8080", "http:agent:", "http:agent:8080"]
    bases = [f"{pods}/{name}/proxy" for name in names]
    bases += [
        f"{services}/{name}/proxy" for name in ("front:80", "front:portname1", "http:front:80", "http:front:portname1")
    ]
    for base in bases:
        assert (await answered(api, "GET", f"{base}/")).text.startswith("GET /|"), base
        assert api.request("GET", f"{base}/page").text == f'<a href="{base}/rewriteme">test</a>'


async def test_what_goes_along(api: Rest, places: tuple[str, str]) -> None:
    """Bodies, forwarded headers, codes and redirects; never the credentials."""
    base = f"{places[0]}/agent:8080/proxy"
    await answered(api, "GET", f"{base}/")
    got = api.request("POST", f"{base}/x", "said to the pod", "text/plain")
    path, body, said = got.text.split("|")
    assert (path, body) == ("POST /x", "said to the pod")
    assert "authorization" not in said.lower()
    assert f"x-forwarded-uri: {base}/x;" in said
    assert re.search(r"x-forwarded-for: [\d.]+;", said)
    none = api.request("GET", f"{base}/none")
    assert (none.code, none.text) == (404, "none")
    assert "set-cookie" not in none.headers


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("ftp:agent:80", 400, 'invalid pod request "ftp:agent:80"'),
        ("nobody", 404, 'pods "nobody" not found'),
        ("agent:81", 503, "connection refused"),
        ("agent:8081", 503, "error trying to reach service: EOF"),
        ("https:agent:8081", 503, "error trying to reach service"),
    ],
)
async def test_refusals(api: Rest, places: tuple[str, str], name: str, code: int, text: str) -> None:
    """In Kubernetes' words."""
    await answered(api, "GET", f"{places[0]}/agent/proxy/")
    assert text in api.request("GET", f"{places[0]}/{name}/proxy/").refused(code)


def test_a_service_without_endpoints(api: Rest, places: tuple[str, str]) -> None:
    """An address that a tenant wrote is none: nothing is dialled."""
    services = places[1]
    outside = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": 80}]}
    api.create(services, {"metadata": {"name": "outside"}, "spec": outside})
    assert "no endpoints available" in api.request("GET", f"{services}/outside:80/proxy/").refused(503)
    assert "no service port 81 found" in api.request("GET", f"{services}/outside:81/proxy/").refused(503)
