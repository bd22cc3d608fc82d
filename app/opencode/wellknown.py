"""The static site behind `opencode auth login https://SITE`, as OpenCode 1.18.33 reads it."""

import json
from collections.abc import Mapping
from typing import Any

from app.opencode.config import KEY_VARIABLE

# OpenCode runs one of these on the user's machine, with stdin closed, and takes what it prints for the key.
# Each refuses what would break the configuration, into which the key is put as it is, and so every start.
ASK_IN_SHELL = """\
LC_ALL=C
k=${VLLM_API_KEY:-}
if [ -z "$k" ]; then
  (: </dev/tty) 2>/dev/null || { echo 'Set VLLM_API_KEY, or log in from a terminal.' >&2; exit 1; }
  exec 3<>/dev/tty
  trap 'stty echo <&3' EXIT
  trap 'exit 1' INT TERM HUP
  stty -echo <&3
  printf 'API key of the gateway (it is not shown): ' >&3
  IFS= read -r k <&3
  printf '\\n' >&3
fi
case $k in
  '' | *[!!-~]* | *[\\"\\\\{}]*) echo 'That is no API key.' >&2; exit 1 ;;
esac
printf %s "$k"
"""
# A dialog, since nothing can be read from a closed stdin there.
ASK_IN_POWERSHELL = """\
$k = $env:VLLM_API_KEY
if (-not $k) {
  $c = Get-Credential -UserName 'key' -Message 'API key of the gateway, as the password'
  if ($c) { $k = $c.GetNetworkCredential().Password }
}
if ($k -notmatch '^[!-~]+$' -or $k -match '["\\\\{}]') {
  [Console]::Error.WriteLine('That is no API key.')
  exit 1
}
[Console]::Out.Write($k)
"""
COMMANDS = {
    "": ["sh", "-c", ASK_IN_SHELL],
    "windows/": ["powershell", "-NoProfile", "-Command", ASK_IN_POWERSHELL],
}


def site(config: Mapping[str, Any]) -> dict[str, str]:
    """The files of the site by their paths in it: for a login, for one on Windows, for a download.

    The key in `config` has to be called VLLM_API_KEY, whatever the gateway: a login stores one.
    """
    files = {
        f"{folder}.well-known/opencode": {
            "auth": {"command": command, "env": KEY_VARIABLE},
            "config": config,
        }
        for folder, command in COMMANDS.items()
    }
    return {path: as_text(content) for path, content in {**files, "opencode.json": config}.items()}


def as_text(content: Mapping[str, Any]) -> str:
    """JSON for people."""
    return json.dumps(content, indent=2) + "\n"
