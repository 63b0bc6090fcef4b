#!/usr/bin/env bash
# set-up.sh FOLDER [LIBRARY]: makes the keys of the crew and of the library in a new folder, and the registry that names them.
set -euo pipefail
folder=$1
library=${2:-http://localhost:8440}
mkdir "$folder"

new_agent() {
  npx bailiwick keys agent "spiffe://bailiwick.local/agent/$1" --owner owner --out "$folder/keys" | tail -n +2
}

{
  echo 'agents:'
  for name in lead scout-1 scout-2 scout-3 scout-4 scout-5; do new_agent "$name"; done
  npx bailiwick keys point library --resource tool:library/search --base-url "$library" --out "$folder/keys"
  cat <<YAML
tool_servers:
  - id: library
    url: $library/
    manifest: 47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU
    tools:
      search: { labels: [reads_untrusted], cost: { amount: /amount, currency: /currency } }
rules:
  - id: tasks
    order: 100
    match: {}
    approvers: { group: owners, quorum: 1 }
    owner_may_approve: true
    modes: [window]
    max_window_seconds: 3600
    narrowing: true
  - id: registry
    order: 10
    match: { actions: [registry/change] }
    approvers: { group: owners, quorum: 1 }
    owner_may_approve: true
    modes: [per_action]
    max_window_seconds: 3600
    narrowing: false
YAML
} >"$folder/registry.yaml"
