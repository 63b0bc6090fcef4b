#!/bin/sh
# Makes the installation, once, and hands each service what is its own and nothing else: whoever takes over one service
# finds no other's keys (DESIGN §3). Run again it changes nothing. Every folder below /volumes is a volume of its own.
set -eu
umask 077
volumes=${1:-/volumes}
installation=$volumes/installation
mkdir -p "$installation" "$volumes/kafka-users"

if [ ! -e "$installation/trust.json" ]; then
  # The invitation is a secret: it goes into a file, invitation.txt, which is named in the container's log.
  bailiwick init --data "$installation" --public-url "$BAILIWICK_PUBLIC_URL" ${SINGLE_OPERATOR:+--single-operator} \
    ${REGISTRY:+--registry "$REGISTRY"}
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
  # Last, and at once: without it nothing in the folder counts.
  cp "$installation/trust.json" "$to/trust.json.new"
  mv "$to/trust.json.new" "$to/trust.json"
}
give approval approval
give issuer issuer
give policy-decision policy-decision-1
give policy-decision policy-decision-2
give evidence evidence

echo "The installation is there. Nobody is enrolled by it: the invitation is in installation/invitation.txt."
echo "Move installation/keys/root offline, and keep it: nothing that runs needs it."
