"""Two small pages without outside assets: the front page, and a browser for the OpenAPI document."""

import base64
import hashlib

from server.http.exchange import Incoming, Reply

_STYLE = """
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
details{border:1px solid #8884;border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{overflow:auto;background:#8881;padding:.6rem;border-radius:4px}
.m{display:inline-block;min-width:4.2em;font-weight:700}input{width:100%;padding:.4rem;font:inherit}
"""

_SCRIPT = """
const el=(t,text,cls)=>{const n=document.createElement(t);if(text!==undefined)n.textContent=text;
 if(cls)n.className=cls;return n};
const main=document.getElementById("operations"),find=document.getElementById("find");
fetch("/schema/openapi.json").then(r=>r.json()).then(doc=>{
 document.getElementById("title").textContent=doc.info.title+" "+doc.info.version;
 const tags={};
 for(const [path,item] of Object.entries(doc.paths))for(const [method,op] of Object.entries(item)){
  if(!op.operationId)continue;const tag=(op.tags||["other"])[0];(tags[tag]=tags[tag]||[]).push([method,path,op]);}
 for(const tag of Object.keys(tags).sort()){
  main.append(el("h2",tag));
  for(const [method,path,op] of tags[tag]){
   const box=el("details"),head=el("summary");box.dataset.text=(path+" "+op.operationId).toLowerCase();
   head.append(el("span",method.toUpperCase(),"m"),el("code",path),el("span"," "+op.operationId));
   box.append(head,el("p",op.description||op.summary||""));
   const show=(name,value)=>{if(value){box.append(el("strong",name),el("pre",JSON.stringify(value,null,1)))}};
   show("Parameters",op.parameters);
   const body=op.requestBody&&op.requestBody.content["application/json"];show("Body",body&&(body.example||body.schema));
   show("Answers",Object.fromEntries(Object.entries(op.responses).map(([s,r])=>[s,r.description])));
   main.append(box);}
 }
 main.append(el("h2","Schemas"));
 for(const [name,schema] of Object.entries(doc.components.schemas)){
  const box=el("details");box.dataset.text=name.toLowerCase();
  box.append(el("summary",name),el("pre",JSON.stringify(schema,null,1)));main.append(box);}
}).catch(()=>{main.textContent="The document could not be read."});
find.addEventListener("input",()=>{const text=find.value.toLowerCase();
 for(const box of main.querySelectorAll("details"))box.hidden=!box.dataset.text.includes(text)});
"""

_FRONT = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Mnbara</title>
<meta name="viewport" content="width=device-width"><style>{style}</style></head><body><h1>Mnbara</h1>
<p>A crowdshipping marketplace in real time. Clients connect over
<code>/connection/websocket</code> (Centrifuge client protocol v2) or REST under <code>/v1</code>.</p><ul>
<li><a href="/schema">Browse the REST interface</a> (<a href="/schema/openapi.json">OpenAPI 3.1</a>)</li>
<li><a href="/schema/asyncapi.json">Realtime interface</a> (AsyncAPI 3.0)</li>
<li><a href="/v1/errors">Error catalogue</a></li>
<li><a href="/.well-known/jwks.json">Public signing keys</a></li>
<li><a href="/health/ready">Is it ready?</a></li></ul></body></html>"""

_BROWSER = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Mnbara: interface</title>
<meta name="viewport" content="width=device-width"><style>{style}</style></head><body><h1 id="title">Mnbara</h1>
<p><a href="/schema/openapi.json">OpenAPI 3.1</a> · <a href="/schema/asyncapi.json">AsyncAPI 3.0</a></p>
<input id="find" type="search" placeholder="Find an operation or a schema" aria-label="Find">
<main id="operations"></main><script>{script}</script></body></html>"""


KEPT_S = 300
"""How long anybody may keep a page; a new version of the server is seen that much later."""


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_hash(_STYLE)}'; script-src 'sha256-{_hash(_SCRIPT)}'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'none'"
).encode()


class Page:
    """One unchanging document."""

    def __init__(self, body: bytes, media_type: bytes, *, policy: bytes = b"") -> None:
        """Keep its bytes."""
        self._body = body
        self._media_type = media_type
        self._packed: dict[str, bytes] = {}
        self._headers = [(b"content-security-policy", policy)] if policy else []
        self._headers.append((b"cache-control", b"public, max-age=%d" % KEPT_S))

    async def __call__(self, _request: Incoming) -> Reply:
        """Return it."""
        return Reply(200, self._body, list(self._headers), self._media_type, self._packed)


def front_page() -> Page:
    """Return the page of `/`."""
    return Page(_FRONT.format(style=_STYLE).encode(), b"text/html; charset=utf-8", policy=_POLICY)


def schema_page() -> Page:
    """Return the page of `/schema`."""
    text = _BROWSER.format(style=_STYLE, script=_SCRIPT)
    return Page(text.encode(), b"text/html; charset=utf-8", policy=_POLICY)
