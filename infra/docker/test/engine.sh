#!/bin/bash
# Starts a Docker engine for the tests, with everything below FOLDER, and leaves it running. `stop` ends it and removes what
# it made, except its images: containers, volumes, networks, mounts, bridges and firewall rules. It leaves what the kernel was set to:
# ip_forward, IPv6 rules, a mounted cgroup2. `stop` does nothing for a folder that `start` did not make.
#   infra/docker/test/engine.sh start|stop FOLDER
# Needs root, dockerd and iptables (Debian: docker.io iptables). It listens only on FOLDER/docker.sock.
set -euo pipefail
verb=$1 folder=$2
[[ $folder =~ ^/[^/].*[^/]$ && $folder != */../* ]] || {
  echo "engine.sh: $folder is no absolute path" >&2
  exit 2
}
export DOCKER_HOST=unix://$folder/docker.sock
marker=$folder/bailiwick-engine
cgroup=bailiwick-engine-$(printf %s "$folder" | sha256sum | cut -c1-8)
first_policy=$folder/forward-policy # of the firewall before the engine; absent where another engine had changed it already
first_bridges=$folder/bridges       # that were there before the engine
boot=/proc/sys/kernel/random/boot_id

answers() { docker info >/dev/null 2>&1; }

# within SECONDS COMMAND…: asks again until it succeeds
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

# finish PIDFILE: ends a process of this engine; the number may be another process's by now.
finish() {
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 0
  ours "$pid" || return 0
  kill "$pid"
  within 30 gone "$pid" || kill -9 "$pid" || true
}
ours() { tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qE "(^|[ =:/])${folder#/}/"; }
gone() { ! kill -0 "$1" 2>/dev/null; }

# What an engine leaves that was killed, or whose machine was.
clean() {
  local left name
  finish "$folder/pid"
  finish "$folder/exec/containerd/containerd.pid"
  { cat /sys/fs/cgroup/{,*/}"$cgroup"/{,*/}cgroup.procs 2>/dev/null || true; } | sort -u | xargs -r kill -9 2>/dev/null || true
  for left in /proc/[0-9]*; do
    name=$(cat "$left/comm" 2>/dev/null) || continue
    case $name in containerd-shim* | docker-proxy) if ours "${left#/proc/}"; then kill -9 "${left#/proc/}" || true; fi ;; esac
  done
  awk -v below="$folder/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | while read -r left; do umount -l "$left"; done || true
  rm -rf "$folder/pid" "$folder/docker.sock" "$folder/exec"
}

# Debian's iptables speaks nf_tables, which a kernel may lack where it has the older tables.
usable_iptables() {
  iptables -t nat -S >/dev/null 2>&1 && return
  mkdir -p "$folder/bin"
  for name in iptables iptables-save iptables-restore; do
    ln -sf "$(command -v "${name/iptables/iptables-legacy}")" "$folder/bin/$name"
  done
  export PATH=$folder/bin:$PATH
  iptables -t nat -S >/dev/null
}

start() {
  local options=() device
  mkdir -p "$folder"
  touch "$marker"
  answers && return
  clean
  usable_iptables
  rm -f "$first_policy"
  [[ $(iptables -S) == *DOCKER* ]] || {
    iptables -S FORWARD | sed -n 's/^-P FORWARD //p'
    cat "$boot"
  } >"$first_policy"
  bridges >"$first_bridges"
  mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup
  # On cgroup v1, all containers together would get as much of a busy machine as one process.
  if [ -d /sys/fs/cgroup/cpu ] && mkdir -p "/sys/fs/cgroup/cpu/$cgroup"; then
    echo 12288 >"/sys/fs/cgroup/cpu/$cgroup/cpu.shares" || true
  fi
  # The MTU of the way out, else what a container downloads may hang.
  device=$(awk '$2 == "00000000" { print $1; exit }' /proc/net/route)
  [ -z "$device" ] || options+=(--mtu "$(cat "/sys/class/net/$device/mtu")")
  setsid nohup dockerd --data-root "$folder/root" --exec-root "$folder/exec" -H "$DOCKER_HOST" -p "$folder/pid" \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$cgroup" "${options[@]}" >"$folder/log" 2>&1 </dev/null &
  within 60 answers && return
  tail -5 "$folder/log" >&2
  return 1
}

bridges() { find /sys/class/net -mindepth 1 -printf '%f\n' | { grep -xE 'docker0|br-[0-9a-f]{12}' || true; } | sort; }

stop() {
  [ -e "$marker" ] || return 0
  if answers; then
    docker ps -aq | xargs -r docker rm -f -v >/dev/null
    docker network prune -f >/dev/null
    docker volume prune -f >/dev/null
    docker image prune -f --filter until=48h >/dev/null # what a newer build replaced; the newest is the next build's cache
  fi
  clean
  # After a reboot, rules and bridges are another engine's.
  [ "$(tail -1 "$first_policy" 2>/dev/null)" = "$(cat "$boot")" ] || return 0
  # Another engine, started since, has rules in the same chains.
  ! grep -qx dockerd /proc/[0-9]*/comm 2>/dev/null || return 0
  usable_iptables
  for table in filter nat; do
    iptables-save -t "$table" | grep -v -E 'DOCKER|docker0|br-[0-9a-f]{12}' |
      sed "s/^:FORWARD [A-Z]*/:FORWARD $(head -1 "$first_policy")/" | iptables-restore -T "$table"
  done
  bridges | comm -13 "$first_bridges" - | xargs -r -n1 ip link delete
  rm -f "$first_policy" "$first_bridges"
}

case $verb in
  start | stop) "$verb" ;;
  *)
    echo 'engine.sh start|stop FOLDER' >&2
    exit 2
    ;;
esac
