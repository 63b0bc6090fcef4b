#!/bin/sh
# Makes the installation once, and gives each service its own files and nothing else: an attacker in one service finds
# no other's keys (DESIGN §3). Running it again changes nothing. Every folder below /volumes is a volume of its own.
# BAILIWICK_PUBLIC_URL: the public address. SINGLE_OPERATOR=1: one person's passkey changes the registry. REGISTRY: a file of
# agents and rules to begin with; compose mounts the device /dev/null where none was named.
set -eu
umask 077
volumes=${1:-/volumes}
installation=$volumes/installation
mkdir -p "$installation" "$volumes/kafka-users"

if [ ! -e "$installation/trust.json" ]; then
  if [ -c "${REGISTRY:-}" ]; then REGISTRY=; fi
  # Its own next steps are those of one machine. Since its output is no terminal, the invitation is written to a file.
  bailiwick init --data "$installation" --public-url "$BAILIWICK_PUBLIC_URL" ${SINGLE_OPERATOR:+--single-operator} \
    ${REGISTRY:+--registry "$REGISTRY"} >/dev/null
fi

# Kafka's users, each with a random password; a service gets its own.
for user in admin broker approval issuer policy-decision evidence agents siem; do
  file=$volumes/kafka-users/$user
  [ -s "$file" ] && continue
  head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n' >"$file.new"
  mv "$file.new" "$file"
done

give() { # give SERVICE VOLUME
  to=$volumes/$2
  if [ -e "$to/trust.json" ] && ! cmp -s "$installation/trust.json" "$to/trust.json"; then
    echo "$2 belongs to another installation: remove its volume first" >&2
    exit 1
  fi
  mkdir -p "$to/keys"
  cp -R "$installation/keys/$1" "$to/keys/"
  cp -R "$installation/policies" "$to/"
  cp "$volumes/kafka-users/$1" "$to/kafka-password"
  if [ "$1" = issuer ]; then cp "$installation/genesis.json" "$to/"; fi
  # Last, and atomically: without it, nothing in the folder counts.
  cp "$installation/trust.json" "$to/trust.json.new"
  mv "$to/trust.json.new" "$to/trust.json"
}
give approval approval
give issuer issuer
give policy-decision policy-decision-1
give policy-decision policy-decision-2
give evidence evidence

echo "The installation is there, for $BAILIWICK_PUBLIC_URL. The first approver enrols at the address in this file, once; it is a secret:"
if [ -n "${container:-}" ]; then
  echo "  docker compose run --rm --entrypoint cat init $installation/invitation.txt"
  echo "Agents and rules, once a person is enrolled: docker compose exec -T approval bailiwick registry apply /dev/stdin <registry.yaml"
else
  echo "  $installation/invitation.txt"
fi
echo "Move $installation/keys/root offline, and keep it: nothing that runs needs it."
