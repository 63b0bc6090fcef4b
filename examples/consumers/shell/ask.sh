#!/bin/sh
# Publishes an access request with the CLI, and shows what became of it. Exit status: that of the last command, so 1 once
# an approver has denied it.
#   ask.sh KEY_FILE AGENT_ID [AUTHORITY_FILE]
# COMMAND is how the CLI is called (default: npx bailiwick); BAILIWICK_DATA says where trust.json and the operator's socket are.
set -eu
key=$1 agent=$2 authority=${3:-$(dirname "$0")/authority.json}
COMMAND=${COMMAND:-npx bailiwick}

# The agent's side: its key signs; nothing but trust.json says where to ask, and of whom.
# COMMAND is split into words on purpose.
# shellcheck disable=SC2086
asked=$($COMMAND request --key "$key" --agent "$agent" --authority "$authority" --purpose 'Asked by examples/consumers/shell' --json)
id=$(printf '%s\n' "$asked" | sed -n 's/.*"request_id":"\([A-Za-z0-9_-]*\)".*/\1/p')
[ -n "$id" ] || {
  echo "no request id in the answer" >&2
  exit 2
}
printf 'asked   %s\n' "$id"

# The operator's side, on the machine where approval runs: what the log says of it.
# shellcheck disable=SC2086
state=$($COMMAND requests --all --json |
  tr '{' '\n' | sed -n "s/^\"id\":\"$id\",\"state\":\"\([a-z]*\)\".*/\1/p")
printf 'state   %s\n' "${state:-not seen yet}"
[ "$state" != denied ]
