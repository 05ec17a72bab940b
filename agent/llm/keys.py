"""To whom the key goes: a config that somebody sent may name any address, and a key must not go to one because a file says so.

The rule: this machine gets it, and so does a host that the person has named with --llm-url or agreed to once on a terminal. That is
remembered beside their other settings (`$XDG_CONFIG_HOME/palate/key_hosts`, not in a run's home, which may be somebody else's), for that
key alone: a new key is asked about again. Anyone else gets nothing, and the run does not begin. Knows nothing of what is asked.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

from agent.llm.wire import is_loopback
from prompts.errors import InputError, PalateError
from prompts.ground.atomic import write_atomically
from prompts.ground.clean import clean
from prompts.ground.console import say, typed

VARIABLES = ("PALATE_LLM_KEY", "OPENAI_API_KEY")
# Strict, so that who is asked about is who gets it: no user, no backslash, no blank, nothing that two readers read in two ways.
ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?(?:/[^\s\\@]*)?"
)
PORTS = {"http": "80", "https": "443"}
_HERE: set[str] = set()  # what was agreed to in this process


def origin(url: str) -> str:
    """scheme://host:port of a server's address. Raises InputError for what is none."""
    found = ADDRESS.fullmatch(url.lower())
    if found is None or int(found["port"] or 1) > 65_535:
        raise InputError(
            f"the language model's address {clean(url, 120)!r} is none we can use: give http(s)://HOST[:PORT]/v1, and a key in "
            f"{VARIABLES[0]}, not in the address"
        )
    return f"{found['scheme']}://{found['host']}:{found['port'] or PORTS[found['scheme']]}"


def key_for(url: str) -> str | None:
    """The key that this server gets; none where none is set. Raises InputError for a host that nobody agreed to."""
    server, (variable, key) = origin(url), _key()
    if key is None or is_loopback(url) or _line(server, key) in _agreed():
        return key
    raise InputError(
        f"the key in {variable} has never been sent to {server}, and a config alone does not decide that: if you trust it, say so once "
        f"with `{typed('doctor', '--llm-url', clean(url))}` (it is remembered); else unset {variable}"
    )


def settle(url: str | None, *, named: bool) -> None:
    """Before a run begins: may this server have the key? `named`: the person named it themselves, which is a yes. On a terminal they are
    asked. Raises InputError as `key_for`."""
    if url is None:
        return
    server, (variable, key) = origin(url), _key()
    if key is None or is_loopback(url) or _line(server, key) in _agreed():
        return
    if named or (_on_terminal() and _asked(server, variable)):
        _remember(_line(server, key))
    key_for(url)


def _key() -> tuple[str, str | None]:
    """The variable and its key. Raises InputError, without a letter of it, for what no header can carry."""
    variable = next((name for name in VARIABLES if os.environ.get(name, "").strip()), VARIABLES[0])
    key = os.environ.get(variable, "").strip()
    if key and re.fullmatch(r"[!-~]+", key) is None:
        raise InputError(f"the key in {variable} holds blanks or letters that no key has: set it again")
    return variable, key or None


def _file() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")) / "palate" / "key_hosts"


def _line(server: str, key: str) -> str:
    """A host and the mark of a key; the key itself is nowhere on disk."""
    return f"{server} {hashlib.sha256(f'{server} {key}'.encode()).hexdigest()[:16]}"


def _agreed() -> set[str]:
    return _HERE | set(_lines())


def _lines() -> list[str]:
    try:
        return _file().read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _remember(line: str) -> None:
    """For this process at least: a home that cannot be written, as containers have, is asked about again next time."""
    _HERE.add(line)
    with suppress(PalateError):
        write_atomically(_file(), "".join(f"{one}\n" for one in [*_lines(), line]))


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _asked(server: str, variable: str) -> bool:
    say(f"The config names the server {server}. Send it the key in {variable}? [y/N]", stderr=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
