#!/bin/bash
# Starts a Docker engine of the tests' own, with everything below FOLDER, and leaves it running; `stop` ends it.
#   infra/docker/test/engine.sh start|stop FOLDER
# Needs root, dockerd and iptables (Debian: docker.io iptables). It listens on FOLDER/docker.sock alone.
set -euo pipefail
verb=$1 folder=$2
export DOCKER_HOST=unix://$folder/docker.sock

case $verb in
  start)
    mkdir -p "$folder"
    docker info >/dev/null 2>&1 && exit 0
    # The MTU of the way out, else what a container downloads may hang.
    device=$(ip -o route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -1)
    mtu=$(cat "/sys/class/net/${device:-lo}/mtu")
    setsid nohup dockerd --data-root "$folder/root" --exec-root "$folder/exec" -H "$DOCKER_HOST" -p "$folder/pid" \
      --mtu "$mtu" >"$folder/log" 2>&1 </dev/null &
    for _ in $(seq 150); do
      docker info >/dev/null 2>&1 && exit 0
      sleep 0.2
    done
    tail -20 "$folder/log" >&2
    exit 1
    ;;
  stop)
    [ -e "$folder/pid" ] || exit 0
    pid=$(cat "$folder/pid")
    kill "$pid"
    for _ in $(seq 150); do
      kill -0 "$pid" 2>/dev/null || exit 0
      sleep 0.2
    done
    kill -9 "$pid"
    ;;
  *)
    echo "engine.sh start|stop FOLDER" >&2
    exit 2
    ;;
esac
