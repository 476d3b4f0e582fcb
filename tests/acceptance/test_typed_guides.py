"""The printed types and the guides that use them compile; the examples of both documents are of those types."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from protocols.values import to_json
from server.domains import DOMAINS
from server.schemas.asyncapi import build_asyncapi
from server.schemas.typescript import build_types
from tests.support.js_client import FOLDER

pytestmark = pytest.mark.slow

GUIDE = Path("docs/clients/react.md")
TYPES_PAGE = Path("docs/clients/typescript.md")
NODE = "declare const process: { env: Record<string, string | undefined> };\ndeclare module 'ws';\n"
"""What a script uses of Node, whose types are not among the packages."""

TSC = FOLDER / "node_modules" / "typescript" / "bin" / "tsc"
OPTIONS = {
    "strict": True,
    "noEmit": True,
    "noUnusedLocals": True,
    "noUncheckedIndexedAccess": True,
    "jsx": "react-jsx",
    "target": "ES2022",
    "module": "ESNext",
    "moduleResolution": "bundler",
    "lib": ["ES2022", "DOM"],
    "types": [],
}
RULES = """\
import type { Auction, Channels, OpenAuction, OrRefusal, PlaceBid, RefusalCode, RpcMethods } from './mnbara';

export const tomorrows: OpenAuction['format'] = 'a_format_of_tomorrow';
// @ts-expect-error: a command that needs a key is not one without
export const keyless: PlaceBid = { auction_id: '', amount: 1 };
// @ts-expect-error: no code word
export const code: RefusalCode = 'bid_too_loud';
// @ts-expect-error: no method
export type Missing = RpcMethods['auctions.place_bids'];
export function told(event: Channels['auctions'], answer: OrRefusal<'auctions.place_bid'>): number | undefined {
  // @ts-expect-error: not every event has a price
  event.price;
  // @ts-expect-error: it may be a refusal
  answer.price.toFixed();
  if (answer.refusal?.code === 'bid_too_low') return answer.refusal.minimum_bid;
  // @ts-expect-error: another refusal has other facts
  if (answer.refusal?.code === 'rate_limited') return answer.refusal.minimum_bid;
  if (answer.refusal) return answer.refusal.number;
  return event.type === 'bid_placed' ? event.price : answer.price;
}
// @ts-expect-error: not a status
export const status: Auction['status'] = 'half_live';
"""


@pytest.fixture(scope="module")
def tsc():
    if shutil.which("node") is None or not TSC.exists():
        pytest.skip("node or its compiler is not here (npm install in tests/js)")

    def compile_folder(folder: Path, files: dict[str, str]) -> str:
        (folder / "src").mkdir(parents=True)
        (folder / "node_modules").symlink_to((FOLDER / "node_modules").resolve())
        for name, text in {"mnbara.d.ts": build_types(DOMAINS), **files}.items():
            (folder / "src" / name).write_text(text)
        options = {"compilerOptions": OPTIONS, "include": ["src"]}
        (folder / "tsconfig.json").write_text(json.dumps(options))
        done = subprocess.run(["node", TSC, "-p", folder], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    return compile_folder


def pieces():
    """Name -> text of the files that the guide shows."""
    found = re.findall(r"^```tsx\n// src/(\S+)\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 3
    return dict(found)


def examples():
    """Every example of a message as a constant of its type."""
    document = msgspec.json.decode(to_json(build_asyncapi(DOMAINS, "http://x")))
    lines = ["import type { Channels, RpcMethods } from './mnbara';"]
    for word, channel in document["channels"].items():
        for name in channel["messages"]:
            payload = document["components"]["messages"][name].get("examples", [{}])[0].get("payload")
            method, _, side = name.rpartition(".")
            kind = {"request": "params", "reply": "result"}.get(side)
            if word != "rpc":
                lines.append(f"export const {name}_of_{word}: Channels['{word}'] = {json.dumps(payload)};")
            elif kind and payload is not None:
                constant = name.replace(".", "_")
                lines.append(
                    f"export const {constant}: RpcMethods['{method}']['{kind}'] = {json.dumps(payload)};"
                )
    return "\n".join(lines)


def test_the_script_of_the_page_about_types_compiles(tsc, tmp_path):
    (script,) = re.findall(r"^```ts\n(.*?)^```$", TYPES_PAGE.read_text(), re.MULTILINE | re.DOTALL)
    files = {"follow.mts": script, "node.d.ts": NODE}
    assert tsc(tmp_path / "right", files) == ""
    files["follow.mts"] = script.replace("data.price", "data.prize")
    assert "Property 'prize' does not exist" in tsc(tmp_path / "wrong", files)


def test_types_examples_and_the_react_guide_compile(tsc, tmp_path):
    files = {**pieces(), "rules.ts": RULES, "examples.ts": examples()}
    assert tsc(tmp_path / "right", files) == ""
    hook = files["useAuction.tsx"]
    assert "event.price" in hook
    wrong = {
        "connection.ts": files["connection.ts"],
        "useAuction.tsx": hook.replace("event.price", "event.prize"),
    }
    assert "Property 'prize' does not exist" in tsc(tmp_path / "wrong", wrong)
