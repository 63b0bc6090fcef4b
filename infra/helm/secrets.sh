#!/bin/sh
# Prints the secrets that the chart requires, as manifests, from folders that infra/docker/init.sh made:
#   infra/helm/secrets.sh FOLDER [NAMESPACE] | kubectl apply -f -
# Run it where the installation was made, outside the cluster: the root key stays there.
set -eu
folder=$1
namespace=${2:-default}

secret() { # secret NAME KEY: its value from standard input
  printf -- '---\napiVersion: v1\nkind: Secret\nmetadata: { name: %s, namespace: %s }\ntype: Opaque\ndata:\n  %s: ' "$1" "$namespace" "$2"
  base64 | tr -d '\n'
  echo
}

for service in approval issuer policy-decision evidence; do
  from=$folder/$service
  # init.sh makes a folder for each of two decision points; both have the same contents.
  [ "$service" = policy-decision ] && from=$folder/policy-decision-1
  [ -e "$from/trust.json" ] || { echo "there is no installation in $from" >&2; exit 1; }
  # Only the files with which the service starts, without its log and its sockets.
  set -- trust.json keys policies kafka-password
  [ "$service" = issuer ] && set -- "$@" genesis.json
  tar -C "$from" --owner=1000 --group=1000 --mode=go= -cf - "$@" | secret "bailiwick-$service" installation.tar
done
tr -d '\n' <"$folder/kafka-users/admin" | secret bailiwick-kafka-admin password
